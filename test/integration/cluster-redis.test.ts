import { expect, setDefaultTimeout, test } from "bun:test";
import { notReady, withCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { expectNothingLost, Traffic } from "../support/traffic.ts";

setDefaultTimeout(120_000);

const PAUSE_MS = 20_000;

test("Redis emptied, killed and restarted, and suspended for 20 s: engines stay who they are, and traffic never stops", () =>
  withCluster("redis", 3, async (cluster) => {
    const redis = cluster.redis!;
    const before = await cluster.registrations();
    const traffic = await Traffic.start(cluster.engines, cluster.engines, 10);
    await traffic.run(100);
    const away = () =>
      Promise.all(
        cluster.engines.map((engine) =>
          eventually(async () => expect(await notReady(engine)).toContain("registry away")),
        ),
      );
    const returned = async (what: string) => {
      const since = performance.now();
      await cluster.linked();
      expect(await cluster.registrations()).toEqual(before);
      console.log(
        `after Redis was ${what} all engines were registered again in ${(performance.now() - since).toFixed(0)} ms`,
      );
      await traffic.run(50);
    };

    await redis.command("FLUSHALL");
    await eventually(async () => expect(await redis.command("DBSIZE")).toBeGreaterThan(6));
    await returned("emptied");

    await redis.kill();
    await away();
    await traffic.run(300);
    expect(await cluster.registrations()).toEqual(before);
    await redis.start();
    await returned("restarted, its data gone");

    redis.pause();
    const paused = performance.now();
    await away();
    while (performance.now() - paused < PAUSE_MS) await traffic.run(100);
    expect(await cluster.registrations()).toEqual(before);
    redis.resume();
    await returned("resumed");

    await cluster.addEngine();
    await cluster.linked();
    expect(Object.keys(await cluster.registrations())).toHaveLength(4);
    await traffic.stop();
    expectNothingLost(traffic, 2000);
    for (const engine of cluster.engines) {
      expect(engine.lines.filter((line) => /number \d+ now|lost the mesh link/.test(line))).toEqual([]);
    }
  }));
