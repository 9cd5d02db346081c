import { expect, setDefaultTimeout, test } from "bun:test";
import type { Client } from "../../src/client/index.ts";
import { VERSION } from "../../src/version.ts";
import { type Cluster, nodes, REGISTRIES, withCluster } from "../support/cluster.ts";
import type { Connmix } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { backendOf, connectTo, type GatewayClient } from "../support/station.ts";

setDefaultTimeout(60_000);

/** Frames that `engine` has sent to `peer`. */
async function framesTo(engine: Connmix, peer: Connmix): Promise<number> {
  return metric(
    await scrape(engine.apiPort),
    "connmix_engine_mesh_frames_total",
    `peer="${peer.nodeId}",direction="out"`,
  );
}

async function withBackends(cluster: Cluster, run: (backends: Client[], clients: GatewayClient[]) => Promise<void>) {
  const backends = cluster.engines.map((engine) => backendOf(engine));
  const clients = await Promise.all(cluster.engines.map(connectTo));
  try {
    await run(backends, clients);
  } finally {
    for (const { socket } of clients) socket.close();
    await Promise.all(backends.map((backend) => backend.close()));
  }
}

for (const kind of REGISTRIES) {
  test(`${kind}: every operation works from any engine for a client of any other, with exact counts`, () =>
    withCluster(kind, 3, (cluster) =>
      withBackends(cluster, async (backends, clients) => {
        for (const [from, backend] of backends.entries()) {
          for (const [to, { socket, id }] of clients.entries()) {
            const name = `${from}-${to}`;
            await backend.send(id, `api ${name}`);
            expect(await socket.text()).toBe(`api ${name}`);
            expect(await clients[from]!.socket.ask(`send ${id} lua ${name}`)).toBe(
              from === to ? `lua ${name}` : "sent",
            );
            expect(await socket.text()).toBe(from === to ? "sent" : `lua ${name}`);

            await backend.setContext(id, { [name]: { deep: [1, null] } });
            expect(await backend.context(id)).toMatchObject({ [name]: { deep: [1, null] } });
            socket.send(`wait later-${name}`);
            await backend.call(id, "set_context_value", [`later-${name}`, "now"]);
            expect(await socket.text()).toBe("now");

            // Seen by this connection's own publish, wherever the subscriber is.
            await backend.subscribe(id, `all-${from}`);
            expect(await backend.publish(`all-${from}`, name)).toEqual({ total: to + 1, fail: 0 });
            for (const { socket: subscriber } of clients.slice(0, to + 1)) expect(await subscriber.text()).toBe(name);
          }
          await backend.unsubscribe(clients[1]!.id, `all-${from}`);
          expect(await backend.publish(`all-${from}`, "two left")).toEqual({ total: 2, fail: 0 });
          for (const at of [0, 2]) expect(await clients[at]!.socket.text()).toBe("two left");
          expect(await clients[1]!.socket.ask(`publish all-${from} by script`)).toBe("published 2 0");
          for (const at of [0, 2]) expect(await clients[at]!.socket.text()).toBe("by script");
          expect(await clients[1]!.socket.ask(`join all-${from} joined`)).toBe("joined");
          expect(await clients[1]!.socket.text()).toBe("published 3 0");
          for (const at of [0, 2]) expect(await clients[at]!.socket.text()).toBe("joined");
        }
        const gone = clients[2]!;
        gone.socket.close();
        await gone.socket.closed;
        for (const backend of backends) {
          await eventually(async () => {
            expect(await backend.send(gone.id, "late").catch((error: unknown) => error)).toMatchObject({ code: 401 });
          });
          expect(await backend.publish("all-0", "late")).toEqual({ total: 2, fail: 0 });
          expect(await backend.call(gone.id, "context").catch((error: unknown) => error)).toMatchObject({ code: 301 });
        }
      }),
    ));

  test(`${kind}: /version and /v1/nodes tell the same on every node`, () =>
    withCluster(kind, 2, async (cluster) => {
      const ports = cluster.engines.map(({ apiPort }) => apiPort);
      if (cluster.center !== undefined) ports.push(cluster.center.centerApiPort);
      for (const port of ports) {
        const version = await fetch(`http://127.0.0.1:${port}/version`);
        expect(await version.json()).toEqual({ version: VERSION, apis: ["v1"] });
        const listed = await nodes(port);
        expect(listed.map(({ id }) => id).sort()).toEqual(cluster.engines.map(({ nodeId }) => nodeId).sort());
        for (const engine of cluster.engines) {
          expect(listed.find(({ id }) => id === engine.nodeId)).toMatchObject({
            api_server: `127.0.0.1:${engine.apiPort}`,
            mesh_point: `127.0.0.1:${engine.meshPort}`,
            servers: [{ protocol: "websocket", port: engine.serverPort() }],
          });
        }
        expect(new Set(listed.map(({ number }) => number)).size).toBe(2);
      }
      const started = performance.now();
      const third = await cluster.addEngine();
      await cluster.linked();
      const ready = performance.now() - started;
      const stopping = performance.now();
      cluster.engines.pop();
      expect(await third.stop()).toBe(0);
      expect(third.lines.filter((line) => line.includes("could not leave"))).toEqual([]);
      for (const port of ports) expect((await nodes(port)).map(({ id }) => id)).not.toContain(third.nodeId);
      console.log(
        `${kind}: a new engine was linked ${ready.toFixed(0)} ms after its spawn, gone ${(performance.now() - stopping).toFixed(0)} ms after SIGTERM`,
      );
    }));
}

test("a publish goes to the engines that have subscribers only, in the publisher's order", () =>
  withCluster("center", 3, (cluster) =>
    withBackends(cluster, async ([publisher], [, subscriber]) => {
      const [first, second, third] = cluster.engines as [Connmix, Connmix, Connmix];
      expect(await subscriber!.socket.ask("subscribe news")).toBe("subscribed");
      await eventually(async () => expect((await publisher!.publish("news", "begin")).total).toBe(1));
      while ((await subscriber!.socket.text()) !== "begin") {}
      const before = [await framesTo(first, second), await framesTo(first, third)];
      const publishes = 1000;
      const counts = await Promise.all(Array.from({ length: publishes }, (_, n) => publisher!.publish("news", `${n}`)));
      expect(counts.every(({ total, fail }) => total === 1 && fail === 0)).toBe(true);
      for (let n = 0; n < publishes; n++) expect(await subscriber!.socket.text()).toBe(`${n}`);
      expect((await framesTo(first, second)) - before[0]!).toBeGreaterThanOrEqual(publishes);
      // Heartbeats, nothing else.
      expect((await framesTo(first, third)) - before[1]!).toBeLessThan(10);
    }),
  ));

test("a consumer on one engine gets what clients of all engines push, and several share it", () =>
  withCluster("redis", 3, (cluster) =>
    withBackends(cluster, async (backends, clients) => {
      const got: number[][][] = backends.map(() => [[], [], []]);
      const consume = async (at: number) => {
        const consumer = backends[at]!.consume<{ from: number; n: number }>("work", ({ data: { from, n } }) => {
          got[at]![from]!.push(n);
        });
        await consumer.ready;
      };
      await consume(2);
      for (let n = 0; n < 500; n++) {
        for (const [from, { socket }] of clients.entries()) socket.send(`push work {"from":${from},"n":${n}}`);
      }
      const all = Array.from({ length: 500 }, (_, n) => n);
      await eventually(() => expect(got[2]).toEqual([all, all, all]));

      await Promise.all([consume(0), consume(1)]);
      await eventually(async () => {
        for (const { apiPort } of cluster.engines) {
          expect(metric(await scrape(apiPort), "connmix_engine_queue_consumers", 'topic="work"')).toBe(3);
        }
      });
      for (let n = 500; n < 1100; n++) {
        for (const [from, { socket }] of clients.entries()) socket.send(`push work {"from":${from},"n":${n}}`);
      }
      await eventually(() => expect(got.flat(2)).toHaveLength(3 * 1100));
      const shares = got.map((one, at) => one.flat().length - (at === 2 ? 1500 : 0));
      for (const share of shares) expect(share).toBeGreaterThan(300);
      for (const [from] of clients.entries()) {
        expect(got.flatMap((one) => one[from]!).sort((a, b) => a - b)).toEqual(
          Array.from({ length: 1100 }, (_, n) => n),
        );
        for (const one of got) expect(one[from]).toEqual(one[from]!.toSorted((a, b) => a - b));
      }
      console.log(`1800 messages of three engines were shared as ${shares.join(", ")}`);
    }),
  ));
