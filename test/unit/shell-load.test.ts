import { describe, expect, test } from "bun:test";
import { loadBetween, topicsOf } from "../../src/commands/load.ts";
import { duration } from "../../src/commands/nodes.ts";
import { parseSamples } from "../../src/commands/prometheus-text.ts";

test("samples are read with their labels, whatever these contain", () => {
  const text = [
    "# HELP a Something",
    "# TYPE a counter",
    "a 1",
    'b{topic="x"} 2.5',
    'c{topic="say \\"hi\\", {you}\\\\\\n",le="+Inf"} 3e2 1700000000',
    "",
  ].join("\n");
  expect(parseSamples(text)).toEqual([
    { name: "a", labels: {}, value: 1 },
    { name: "b", labels: { topic: "x" }, value: 2.5 },
    { name: "c", labels: { topic: 'say "hi", {you}\\\n', le: "+Inf" }, value: 300 },
  ]);
});

describe("the load between two looks", () => {
  const look = (at: number, received: number, pushed: number) => ({
    at,
    samples: parseSamples(`
connmix_engine_servers_clients 12
connmix_engine_servers_read_messages_total{protocol="websocket"} ${received}
connmix_engine_servers_read_messages_total{protocol="socket"} 10
connmix_engine_queue_depth{topic="foo"} 5
connmix_engine_queue_depth{topic="bar"} 7
connmix_engine_queue_consumers{topic="foo"} 1
connmix_engine_queue_pushed_total{topic="foo"} ${pushed}
connmix_engine_queue_pushed_total{topic="bar"} 0`),
  });

  test("is sums and rates per second", () => {
    const load = loadBetween(look(1_000, 100, 40), look(3_000, 160, 44));
    expect(load).toMatchObject({ clients: 12, received: 30, sent: 0, queued: 12 });
    expect(topicsOf([load, load])).toEqual([
      { topic: "bar", depth: 14, consumers: 0, pushed: 0, popped: 0 },
      { topic: "foo", depth: 10, consumers: 2, pushed: 4, popped: 0 },
    ]);
  });

  test("counts from zero again when an engine has restarted", () => {
    expect(loadBetween(look(0, 5_000, 0), look(1_000, 20, 0)).received).toBe(30);
  });
});

test("a duration has two units at most", () => {
  expect([-1, 0, 8, 312, 3_600, 277_000].map(duration)).toEqual(["0s", "0s", "8s", "5m12s", "1h", "3d4h"]);
});
