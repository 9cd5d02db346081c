import { expect, setDefaultTimeout, test } from "bun:test";
import { nodes, notReady, REGISTRIES, type RegistryKind, TTL, withCluster } from "../support/cluster.ts";
import type { Connmix } from "../support/connmix.ts";
import { eventually, Fatal } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { freePort } from "../support/ports.ts";
import { backendOf, connectTo } from "../support/station.ts";
import { countOf, isAscending, isComplete, Traffic } from "../support/traffic.ts";

setDefaultTimeout(120_000);

/** Queued messages that `engines` counted as lost with a peer. */
async function countedLost(engines: Connmix[]): Promise<number> {
  const texts = await Promise.all(engines.map(({ apiPort }) => scrape(apiPort)));
  return texts.reduce((sum, text) => sum + metric(text, "connmix_engine_mesh_queue_lost_total"), 0);
}

async function killUnderLoad(kind: RegistryKind): Promise<void> {
  await withCluster(kind, 3, async (cluster) => {
    const [first, second, doomed] = cluster.engines as [Connmix, Connmix, Connmix];
    const survivors = [first, second];
    const traffic = await Traffic.start(cluster.engines);
    await traffic.run(100);

    const killed = performance.now();
    await cluster.kill(doomed);
    await Promise.all(
      survivors.map((engine) => engine.line(new RegExp(`lost the mesh link with engine ${doomed.nodeId}`))),
    );
    const noticed = performance.now() - killed;
    await Promise.all(
      survivors.map((engine) =>
        eventually(async () => {
          // A load balancer that asks must not take the others out because of one that died.
          const reason = await notReady(engine);
          if (reason !== undefined) throw new Fatal(`${engine.nodeId} is not ready: ${reason}`);
          expect((await nodes(engine.apiPort)).map(({ id }) => id)).not.toContain(doomed.nodeId);
        }, TTL[kind] + 5000),
      ),
    );
    const unlisted = performance.now() - killed;
    await cluster.linked();
    await traffic.run(
      100,
      survivors.map((engine) => traffic.at(engine)),
    );
    await traffic.stop();
    console.log(`${kind}: kill -9 to both peers: link ${noticed.toFixed(0)} ms, list ${unlisted.toFixed(0)} ms`);

    for (const engine of survivors) {
      const { heard, outcomes, longestSilence } = traffic.at(engine);
      expect(longestSilence).toBeLessThan(3000);
      expect(outcomes.every((outcome) => typeof outcome === "object")).toBe(true);
      expect(outcomes.at(-1)).toEqual({ total: 2, fail: 0 });
      for (const publisher of survivors) {
        expect(isComplete(heard.get(publisher.nodeId), traffic.at(publisher).published)).toBe(true);
      }
      const fromDoomed = heard.get(doomed.nodeId)!;
      expect(isComplete(fromDoomed, fromDoomed.length)).toBe(true);
    }
    let missing = 0;
    for (const engine of survivors) {
      const deliveries = traffic.deliveries(engine);
      expect(Math.max(...deliveries)).toBe(1);
      missing += countOf(deliveries, 0);
    }
    expect(Math.max(...traffic.deliveries(doomed))).toBe(1);
    // What is gone was in the dead engine's hands, and the others say how much that was at most.
    expect(missing).toBeLessThanOrEqual(await countedLost(survivors));
    for (const { consumed } of traffic.stations) expect(isAscending(consumed.get(doomed.nodeId) ?? [])).toBe(true);
  });
}

test("kill -9 of an engine under load costs nobody else anything", async () => {
  await Promise.all(REGISTRIES.map(killUnderLoad));
});

test("when the engine of the only consumer dies, what waits at the others goes to the next consumer", () =>
  withCluster("redis", 3, async (cluster) => {
    const [first, second, doomed] = cluster.engines as [Connmix, Connmix, Connmix];
    const survivors = [first, second];
    const traffic = await Traffic.start(cluster.engines, [doomed]);
    await traffic.run(100);
    await cluster.kill(doomed);
    await traffic.run(
      100,
      survivors.map((engine) => traffic.at(engine)),
    );

    const later = new Map<string, number[]>();
    const backend = backendOf(second);
    backend.consume<{ from: string; n: number }>("work", ({ data: { from, n } }) => {
      later.set(from, [...(later.get(from) ?? []), n]);
    });
    await traffic.run(
      50,
      survivors.map((engine) => traffic.at(engine)),
    );
    await traffic.stop();
    await eventually(() => {
      for (const engine of survivors) expect(later.get(engine.nodeId)?.at(-1)).toBe(traffic.at(engine).pushed - 1);
    });
    let missing = 0;
    for (const engine of survivors) {
      const numbers = later.get(engine.nodeId)!;
      // In order to the end, beginning where the dead engine's consumer stopped, but for what was under way to it.
      expect(isAscending(numbers)).toBe(true);
      const times = traffic.deliveries(engine);
      for (const n of numbers) times[n]!++;
      expect(Math.max(...times)).toBe(1);
      missing += countOf(times, 0);
    }
    // Counted once the dead engine is off the list.
    await eventually(async () => expect(missing).toBeLessThanOrEqual(await countedLost(survivors)));
    await backend.close();
  }));

for (const kind of REGISTRIES) {
  test(`${kind}: an engine killed and started again on the same ports works at once, while the dead one is still listed`, () =>
    withCluster(kind, 2, async (cluster) => {
      const fixed = {
        engine: {
          meshPoint: { port: freePort(), bind: "127.0.0.1" },
          apiServer: { port: freePort(), bind: "127.0.0.1" },
        },
        server: { port: freePort() },
      };
      const doomed = await cluster.addEngine(fixed);
      await cluster.linked();
      await cluster.kill(doomed);
      const started = performance.now();
      const again = await cluster.addEngine(fixed);
      expect(again.nodeId).not.toBe(doomed.nodeId);
      const client = await connectTo(again);
      const backend = backendOf(cluster.engines[0]!);
      await eventually(() => backend.send(client.id, "welcome back"), 3000);
      expect(await client.socket.text()).toBe("welcome back");
      console.log(
        `${kind}: restarted on the same ports and reached from a peer after ${(performance.now() - started).toFixed(0)} ms`,
      );
      await backend.close();
    }));
}
