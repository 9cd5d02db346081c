import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/index.ts";
import { REGISTRIES, type RegistryKind, withCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { RoamingClient } from "../support/roaming-client.ts";

setDefaultTimeout(120_000);

const CLIENTS = 24;

async function restartAll(kind: RegistryKind): Promise<void> {
  await withCluster(kind, 3, async (cluster) => {
    const urls = cluster.engines.map(({ apiPort }) => `http://127.0.0.1:${apiPort}`);
    const troubles: string[] = [];
    const backend = new Client({ url: urls, onTrouble: (text) => troubles.push(text) });
    const consumed = new Map<string, number>();
    const consumer = backend.consume<{ from: string; n: number }>("work", ({ data: { from, n } }) => {
      consumed.set(`${from} ${n}`, (consumed.get(`${from} ${n}`) ?? 0) + 1);
    });
    await consumer.ready;
    await eventually(() => expect(backend.connected).toHaveLength(3));
    const clients = Array.from({ length: CLIENTS }, (_, n) => new RoamingClient(`c${n}`, () => cluster.engines));
    let published = 0;
    let failed = 0;
    const publisher = setInterval(() => {
      const n = published++;
      backend.publish("news", n).catch(() => failed++);
    }, 5);
    await eventually(() => expect(clients.every(({ confirmed }) => confirmed.length > 20)).toBe(true));

    for (const engine of [...cluster.engines]) {
      const replacement = await cluster.addEngine();
      await cluster.linked();
      await eventually(() => expect(backend.connected).toHaveLength(4));
      cluster.engines.splice(cluster.engines.indexOf(engine), 1);
      const log = engine.lines;
      expect(await engine.stop()).toBe(0);
      expect(log.filter((line) => /queued messages/.test(line))).toEqual([]);
      await eventually(() => expect(clients.every(({ connected }) => connected)).toBe(true));
      expect(cluster.engines).toContain(replacement);
    }
    const before = clients.map(({ confirmed }) => confirmed.length);
    await eventually(() => {
      for (const [index, { confirmed }] of clients.entries())
        expect(confirmed.length).toBeGreaterThan(before[index]! + 10);
    });
    clearInterval(publisher);
    for (const client of clients) client.stop();
    const confirmed = clients.flatMap((client, index) => client.confirmed.map((n) => `c${index} ${n}`));
    await eventually(() => expect(confirmed.filter((message) => !consumed.has(message))).toEqual([]));
    await backend.close();

    // Nothing that an engine has confirmed is lost, and nothing comes twice.
    expect([...consumed].filter(([, times]) => times !== 1)).toEqual([]);
    for (const client of clients) {
      expect(client.refused).toBe(0);
      expect(new Set(client.closeCodes)).toEqual(new Set([1001]));
      for (const heard of client.heard) expect(new Set(heard).size).toBe(heard.length);
    }
    const moved = clients.reduce((sum, { closeCodes }) => sum + closeCodes.length, 0);
    const uncertain = clients.flatMap((client, index) => client.uncertain.map((n) => `c${index} ${n}`));
    console.log(
      `${kind}: ${confirmed.length} messages confirmed and delivered, ${uncertain.length} sent into a closing connection ` +
        `(${uncertain.filter((message) => consumed.has(message)).length} of them delivered); ${moved} times clients moved, ` +
        `${failed} of ${published} publishes without an answer`,
    );
  });
}

test("a rolling restart of three engines under load loses nothing that was confirmed and refuses no client", async () => {
  await Promise.all(REGISTRIES.map(restartAll));
});
