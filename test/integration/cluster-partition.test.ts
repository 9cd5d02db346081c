import { expect, setDefaultTimeout, test } from "bun:test";
import { REGISTRIES, type RegistryKind, withCluster } from "../support/cluster.ts";
import type { Connmix } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { type ProxiedLink, withProxiedLink } from "../support/proxied-cluster.ts";
import { countOf, isAscending, isComplete, Traffic } from "../support/traffic.ts";

setDefaultTimeout(120_000);

async function links(engine: Connmix): Promise<number> {
  return metric(await scrape(engine.apiPort), "connmix_engine_mesh_links");
}

/** Publishes from one engine to a subscriber on another: in order, none twice, and each that succeeded for all was heard. */
function expectHeard(traffic: Traffic, publisher: Connmix, subscriber: Connmix): void {
  const heard = traffic.at(subscriber).heard.get(publisher.nodeId) ?? [];
  expect(isAscending(heard)).toBe(true);
  const all = new Set(heard);
  const unheard = traffic.at(publisher).outcomes.flatMap((outcome, n) => {
    const succeeded = typeof outcome === "object" && outcome.fail === 0 && outcome.total === traffic.stations.length;
    return succeeded && !all.has(n) ? [n] : [];
  });
  expect(unheard).toEqual([]);
}

/** Breaks a link, waits until both ends know, repairs it, and accounts for everything that was sent meanwhile. */
async function breakLink(
  name: string,
  engines: 2 | 3,
  cut: (link: ProxiedLink) => void,
  repair: (link: ProxiedLink) => void,
) {
  await withProxiedLink("redis", engines, async (cluster, link) => {
    const { from, to, others } = link;
    const ends = [from, to];
    const traffic = await Traffic.start(cluster.engines, cluster.engines, 10);
    await traffic.run(50);
    cut(link);
    const since = performance.now();
    await Promise.all(
      ends.map((engine) => eventually(async () => expect(await links(engine)).toBe(engines - 2), 20_000)),
    );
    console.log(`${name}: both ends had given the link up after ${((performance.now() - since) / 1000).toFixed(1)} s`);
    await traffic.run(100);
    repair(link);
    const repaired = performance.now();
    await cluster.linked();
    console.log(`${name}: linked again after ${((performance.now() - repaired) / 1000).toFixed(1)} s`);
    await traffic.run(50);
    await traffic.stop();

    for (const publisher of cluster.engines) {
      const { outcomes, published, pushed } = traffic.at(publisher);
      expect(outcomes.at(-1)).toEqual({ total: engines, fail: 0 });
      for (const subscriber of cluster.engines) {
        expectHeard(traffic, publisher, subscriber);
        if (publisher !== subscriber && ends.includes(publisher) && ends.includes(subscriber)) continue;
        expect(isComplete(traffic.at(subscriber).heard.get(publisher.nodeId), published)).toBe(true);
        expect(traffic.at(subscriber).longestSilence).toBeLessThan(2000);
      }
      // Nothing was lost: what was under way when the link broke is sent again when it is back.
      expect(countOf(traffic.deliveries(publisher), 1)).toBe(pushed);
      if (others.includes(publisher))
        expect(outcomes.filter((outcome) => typeof outcome !== "object" || outcome.fail > 0)).toEqual([]);
    }
  });
}

test("a link that breaks, or on which nothing passes both ways or one way, costs only what needs it, and is made again", async () => {
  await Promise.all([
    breakLink(
      "cut",
      3,
      ({ proxy }) => proxy.cut(true),
      ({ proxy }) => proxy.accept(),
    ),
    breakLink(
      "silent both ways",
      3,
      ({ proxy }) => proxy.hold("forward", "backward"),
      ({ proxy }) => proxy.release(),
    ),
    breakLink(
      "silent one way",
      2,
      ({ proxy }) => proxy.hold("forward"),
      ({ proxy }) => proxy.release(),
    ),
  ]);
});

/** Longer than a link may be silent, and than either registry waits. */
const FREEZE_MS = 15_000;

async function freeze(kind: RegistryKind): Promise<void> {
  await withCluster(kind, 3, async (cluster) => {
    const before = await cluster.registrations();
    const [first, second, frozen] = cluster.engines as [Connmix, Connmix, Connmix];
    const traffic = await Traffic.start(cluster.engines, cluster.engines, 10);
    await traffic.run(50);

    frozen.signal("SIGSTOP");
    const since = performance.now();
    while (performance.now() - since < FREEZE_MS) await traffic.run(50, [traffic.at(first), traffic.at(second)]);
    await cluster.linked([first, second]);
    frozen.signal("SIGCONT");
    const resumed = performance.now();
    await cluster.linked();
    await eventually(async () => expect(await cluster.registrations()).toEqual(before));
    console.log(
      `${kind}: ${((performance.now() - resumed) / 1000).toFixed(1)} s after it was resumed the engine was linked again`,
    );
    await eventually(() =>
      expect(traffic.at(first).outcomes.findLast((one) => one !== undefined)).toEqual({ total: 3, fail: 0 }),
    );
    await traffic.run(50);
    await traffic.stop();

    let missing = 0;
    let counted = 0;
    for (const publisher of cluster.engines) {
      for (const subscriber of cluster.engines) expectHeard(traffic, publisher, subscriber);
      const deliveries = traffic.deliveries(publisher);
      expect(Math.max(...deliveries)).toBe(1);
      missing += countOf(deliveries, 0);
      counted += metric(await scrape(publisher.apiPort), "connmix_engine_mesh_queue_lost_total");
    }
    expect(missing).toBeLessThanOrEqual(counted);
    for (const engine of [first, second]) {
      const { longestSilence, heard } = traffic.at(engine);
      expect(longestSilence).toBeLessThan(2000);
      for (const publisher of [first, second]) {
        expect(isComplete(heard.get(publisher.nodeId), traffic.at(publisher).published)).toBe(true);
      }
    }
    console.log(`${kind}: ${missing} queued messages lost, ${counted} counted`);
  });
}

test("an engine suspended beyond every time limit comes back as who it was, and nothing comes twice", async () => {
  await Promise.all(REGISTRIES.map(freeze));
});
