import { describe, expect, test } from "bun:test";
import { createCenterMetrics } from "../../src/metrics/center-metrics.ts";
import { DurationWindow } from "../../src/metrics/duration-window.ts";
import { createEngineMetrics, type EngineSources } from "../../src/metrics/engine-metrics.ts";
import { MetricSet } from "../../src/metrics/metric-set.ts";
import { SendTimer } from "../../src/metrics/send-timer.ts";
import { sumMetrics } from "../../src/metrics/sum-metrics.ts";

function lines(text: string, name: string): string[] {
  return text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

const PORT_STATS = {
  accepted: 5,
  refused: 1,
  readMessages: 10,
  sentMessages: 20,
  sendErrors: 2,
  tooLarge: 0,
  protocolErrors: 0,
  slowClients: 3,
  readTimeouts: 0,
};

function sources(overrides: Partial<EngineSources> = {}): EngineSources {
  return {
    version: "1.2.3",
    ports: () => [
      { protocol: "websocket", clients: 4, stats: PORT_STATS },
      { protocol: "websocket", clients: 1, stats: PORT_STATS },
      { protocol: "socket", clients: 2, stats: { ...PORT_STATS, readMessages: 7 } },
    ],
    sendDurations: () => [],
    channels: () => 9,
    topics: () => new Map([["foo", { depth: 3, size: 2000, consumers: 1, pushed: 10, popped: 7, rejected: 1 }]]),
    topicCounts: () => [["foo", { pushed: 10, popped: 7, rejected: 1 }]],
    queues: () => ({ topicsRefused: 4, waitingBytes: 600, maxBytes: 1000 }),
    scripts: () => [
      {
        entry: "lua/entry.lua",
        stats: {
          callbacks: { on_message: { count: 12, seconds: 0.5, errors: 1, timeouts: 0 } },
          reloads: 2,
          reloadErrors: 1,
          lastReloadError: "entry.lua:3: oops",
          mailboxOverflows: 0,
          suspended: 1,
        },
      },
    ],
    mesh: () => ({
      links: 1,
      handshakesFailed: 0,
      queueHeld: 0,
      queueDuplicates: 0,
      queueLost: 2,
      publishes: 8,
      peers: [
        {
          id: "peer000001",
          host: "10.0.0.2",
          up: true,
          links: 1,
          framesIn: 5,
          framesOut: 6,
          bytesIn: 50,
          bytesOut: 60,
          waitingBytes: 0,
          rtt: 1.5,
          requests: 4,
          requestsFailed: 1,
          dropped: 0,
          sendsForwarded: 1,
          publishesForwarded: 1,
          callsForwarded: 1,
          queueUnconfirmed: 0,
          queueLost: 0,
        },
      ],
    }),
    registry: () => ({ state: "away", stats: { stateChanges: 1, renewals: 30, failures: 2, lastError: undefined } }),
    api: () => ({ clients: 2, requests: 100, refused: 6, slowClients: 1, readTimeouts: 0 }),
    ...overrides,
  };
}

describe("engine metrics", () => {
  test("have the documented names and the parts' numbers", async () => {
    const text = await createEngineMetrics(sources()).text();
    expect(lines(text, "connmix_engine_servers_clients")).toEqual(["connmix_engine_servers_clients 7"]);
    expect(lines(text, "connmix_engine_servers_read_messages_total")).toEqual([
      'connmix_engine_servers_read_messages_total{protocol="websocket"} 20',
      'connmix_engine_servers_read_messages_total{protocol="socket"} 7',
    ]);
    expect(lines(text, "connmix_engine_servers_send_messages_total")[0]).toEndWith("40");
    expect(lines(text, "connmix_engine_servers_send_errors_total")[0]).toEndWith("4");
    expect(lines(text, "connmix_engine_channels")).toEqual(["connmix_engine_channels 9"]);
    expect(lines(text, "connmix_engine_queue_depth")).toEqual(['connmix_engine_queue_depth{topic="foo"} 3']);
    expect(lines(text, "connmix_engine_queue_popped_total")).toEqual([
      'connmix_engine_queue_popped_total{topic="foo"} 7',
    ]);
    expect(lines(text, "connmix_engine_queue_topics_refused_total")).toEqual([
      "connmix_engine_queue_topics_refused_total 4",
    ]);
    expect(lines(text, "connmix_engine_queue_waiting_bytes")).toEqual(["connmix_engine_queue_waiting_bytes 600"]);
    expect(lines(text, "connmix_engine_queue_max_bytes")).toEqual(["connmix_engine_queue_max_bytes 1000"]);
    expect(lines(text, "connmix_engine_lua_errors_total")[0]).toBe(
      'connmix_engine_lua_errors_total{entry="lua/entry.lua",callback="on_message"} 1',
    );
    expect(lines(text, "connmix_engine_lua_last_reload_failed")[0]).toEndWith(" 1");
    expect(lines(text, "connmix_engine_mesh_round_trip_seconds")[0]).toEndWith(" 0.0015");
    expect(lines(text, "connmix_engine_registry_state")).toContain('connmix_engine_registry_state{state="away"} 1');
    expect(lines(text, "connmix_engine_registry_state")).toContain('connmix_engine_registry_state{state="joined"} 0');
    expect(lines(text, "connmix_engine_api_requests_total")[0]).toEndWith(" 100");
    expect(lines(text, "connmix_engine_api_refused_total")[0]).toEndWith(" 6");
    expect(lines(text, "process_resident_memory_bytes")).toHaveLength(1);
    expect(text).not.toContain("heap_space");
  });

  test("are read anew at each scrape", async () => {
    let channels = 1;
    const metrics = createEngineMetrics(sources({ channels: () => channels }));
    await metrics.text();
    channels = 2;
    expect(lines(await metrics.text(), "connmix_engine_channels")).toEqual(["connmix_engine_channels 2"]);
  });

  test("put topics beyond 200 under one label", async () => {
    const stats = { depth: 1, size: 1, consumers: 0, pushed: 1, popped: 0, rejected: 0 };
    const topics = new Map(Array.from({ length: 1000 }, (_, index) => [`t${index}`, stats]));
    const depth = lines(
      await createEngineMetrics(sources({ topics: () => topics })).text(),
      "connmix_engine_queue_depth",
    );
    expect(depth).toHaveLength(201);
    expect(depth).toContain('connmix_engine_queue_depth{topic="other"} 800');
  });

  test("show send durations as a summary with quartiles", async () => {
    const window = new DurationWindow(600, 5);
    const labels = { protocol: "websocket", scenario: "local" };
    const metrics = createEngineMetrics(sources({ sendDurations: () => [{ labels, window }] }));
    for (let turn = 0; turn < 10; turn++) window.observe(performance.now() - 1000, performance.now());
    const text = await metrics.text();
    const name = "connmix_engine_servers_send_duration_seconds";
    expect(text).toContain(`# TYPE ${name} summary`);
    const quantiles = lines(text, name);
    expect(quantiles.map((line) => /quantile="([\d.]+)"/.exec(line)?.[1])).toEqual(["0", "0.25", "0.5", "0.75", "1"]);
    expect(Number(quantiles[2]?.split(" ")[1])).toBeCloseTo(1, 1);
    expect(lines(text, `${name}_count`)).toEqual([`${name}_count{protocol="websocket",scenario="local"} 10`]);
  });
});

test("center metrics have the documented names", async () => {
  const text = await createCenterMetrics({
    version: "1",
    channels: () => 3,
    clients: () => 50,
    engineNodes: () => 2,
  }).text();
  expect(lines(text, "connmix_center_registry_channels_total")[0]).toEndWith(" 3");
  expect(lines(text, "connmix_center_registry_clients")[0]).toEndWith(" 50");
  expect(lines(text, "connmix_center_registry_engine_nodes")[0]).toEndWith(" 2");
});

describe("a duration window", () => {
  function observe(window: DurationWindow, seconds: number): void {
    window.observe(performance.now() - seconds * 1000, performance.now());
  }

  test("without observations is all zero", () => {
    expect(new DurationWindow(600, 5).quantiles([0, 0.5, 1])).toEqual([0, 0, 0]);
  });

  test("estimates quantiles of far more durations than it keeps", () => {
    const window = new DurationWindow(600, 5);
    for (let index = 1; index <= 20_000; index++) observe(window, (index * 7919) % 20_000);
    const [least, median, greatest] = window.quantiles([0, 0.5, 1]) as [number, number, number];
    expect(least).toBeCloseTo(0, 1);
    expect(greatest).toBeCloseTo(19_999, 0);
    // The median of 512 out of 20,000 is off by more than 1,800 less than once in ten thousand runs.
    expect(Math.abs(median - 10_000)).toBeLessThan(1800);
    expect(window.count).toBe(20_000);
  });

  test("forgets what is older than its age", async () => {
    const window = new DurationWindow(0.1, 5);
    observe(window, 9);
    expect(window.quantiles([1])[0]).toBeCloseTo(9, 1);
    await Bun.sleep(150);
    expect(window.quantiles([1])).toEqual([0]);
    expect(window.count).toBe(1);
  });
});

test("the metrics of several processes are added up, quantiles averaged", async () => {
  const one = (clients: number, seconds: number) => {
    const set = new MetricSet("1");
    set.counter("sent_total", "sent", ["protocol"], () => [[clients * 10, { protocol: "websocket" }]]);
    set.gauge("clients", "clients", [], () => [[clients]]);
    const window = new DurationWindow(600, 5);
    window.observe(performance.now() - seconds * 1000, performance.now());
    set.summary("took_seconds", "took", ["scenario"], () => [{ labels: { scenario: "local" }, window }]);
    return set.json();
  };
  const text = await sumMetrics([await one(1, 1), await one(2, 3)]);
  expect(lines(text, "clients")).toEqual(["clients 3"]);
  expect(lines(text, "connmix_build_info")).toEqual(['connmix_build_info{version="1"} 1']);
  expect(lines(text, "sent_total")).toEqual(['sent_total{protocol="websocket"} 30']);
  expect(lines(text, "took_seconds_count")).toEqual(['took_seconds_count{scenario="local"} 2']);
  const median = lines(text, "took_seconds").find((line) => line.includes('quantile="0.5"'));
  expect(Number(median?.split(" ")[1])).toBeCloseTo(2, 1);
});

test("a send timer keeps one window for each protocol and scenario", async () => {
  const timer = new SendTimer(600, 5);
  const started = performance.now();
  timer.local("websocket", started);
  timer.local("websocket", started);
  timer.local("socket", started);
  timer.forwarded(started);
  // A local send ends with the turn.
  await new Promise((resolve) => setImmediate(resolve));
  expect(timer.durations().map(({ labels, window }) => [labels.protocol, labels.scenario, window.count])).toEqual([
    ["websocket", "local", 2],
    ["socket", "local", 1],
    ["mesh", "forward", 1],
  ]);
});
