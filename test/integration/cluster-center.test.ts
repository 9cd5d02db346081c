import { expect, setDefaultTimeout, test } from "bun:test";
import { notReady, TTL, withCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { backendOf, connectTo } from "../support/station.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { expectNothingLost, Traffic } from "../support/traffic.ts";

setDefaultTimeout(60_000);

test("a center killed and brought back empty: engines return as they were, and traffic never stops", () =>
  withCluster("center", 3, async (cluster) => {
    const before = await cluster.registrations();
    const traffic = await Traffic.start(cluster.engines);
    await traffic.run(100);

    await cluster.killCenter();
    for (const engine of cluster.engines) {
      await eventually(async () => expect(await notReady(engine)).toContain("registry away"));
    }
    await traffic.run(400);
    expect(await cluster.registrations()).toEqual(before);

    await cluster.startCenter();
    const back = performance.now();
    await cluster.linked();
    await eventually(async () => expect(await cluster.registrations()).toEqual(before));
    console.log(`all engines were back ${(performance.now() - back).toFixed(0)} ms after the center`);
    await traffic.run(100);

    const [first, second] = cluster.engines;
    const newcomer = await cluster.addEngine();
    await cluster.linked();
    const { [newcomer.nodeId]: number, ...others } = await cluster.registrations();
    expect(others).toEqual(before);
    expect(Object.values(others)).not.toContain(number);
    const client = await connectTo(newcomer);
    const backend = backendOf(second!);
    await backend.send(client.id, "welcome");
    expect(await client.socket.text()).toBe("welcome");
    await backend.close();

    await traffic.run(100);
    await traffic.stop();
    expectNothingLost(traffic, 2000);
    for (const engine of cluster.engines)
      expect(engine.lines.filter((line) => /number \d+ now/.test(line))).toEqual([]);
    expect(first!.lines.filter((line) => line.includes("lost the mesh link"))).toEqual([]);
  }));

test("an engine cut off from the center alone is off the list, and its clients notice nothing", () =>
  withCluster("center", 2, async (cluster) => {
    const proxy = await TcpProxy.start(cluster.center!.registryPort);
    try {
      const cut = await cluster.addEngine({ engine: { centerRegistry: proxy.address } });
      await cluster.linked();
      const before = await cluster.registrations();
      const traffic = await Traffic.start(cluster.engines, cluster.engines, 10);
      proxy.block();
      for (const engine of cluster.engines.slice(0, 2)) {
        await engine.line(new RegExp(`${cut.nodeId} .* is no longer a member`), TTL.center + 5000);
      }
      expect(await notReady(cut)).toContain("registry away");
      await traffic.run(100);
      proxy.unblock();
      await cluster.linked();
      await eventually(async () => expect(await cluster.registrations()).toEqual(before));
      await traffic.run(50);
      await traffic.stop();
      expectNothingLost(traffic, 2000);
      for (const { lines } of cluster.engines) {
        expect(lines.filter((line) => line.includes("lost the mesh link"))).toEqual([]);
      }
    } finally {
      await proxy.dispose();
    }
  }));
