import { afterEach, expect, test } from "bun:test";
import { until } from "../support/eventually.ts";
import { MemoryConsumer } from "../support/memory-consumer.ts";
import { cluster, MeshEngine } from "../support/mesh-engine.ts";
import { MeshProxy } from "../support/mesh-proxy.ts";

const running: { stop(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((part) => part.stop()));
});

/** Numbers that look random and are the same in every run (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

for (const seed of [1, 2, 3]) {
  test(`three engines, consumers that come, go, stop reading, links that break: each message once (seed ${seed})`, async () => {
    const pick = random(seed);
    const engines: MeshEngine[] = [];
    const proxies: MeshProxy[] = [];
    for (let n = 0; n < 3; n++) {
      const engine = await MeshEngine.start();
      const { proxy, record } = MeshProxy.before(engine.record);
      engine.record = record;
      engines.push(engine);
      proxies.push(proxy);
      running.push(engine.mesh, proxy);
    }
    await cluster(...engines);
    const consumers: { engine: MeshEngine; consumer: MemoryConsumer }[] = [];
    const gone: MemoryConsumer[] = [];
    let pushed = 0;
    for (let step = 0; step < 1500; step++) {
      const action = pick(100);
      const engine = engines[pick(3)]!;
      const chosen = consumers[pick(Math.max(1, consumers.length))];
      if (action < 60) {
        for (let n = pick(20); n > 0; n--) expect(typeof engine.mesh.push(1, "jobs", `${pushed++}`)).toBe("number");
      } else if (action < 68 && consumers.length < 6) {
        const consumer = new MemoryConsumer();
        consumers.push({ engine, consumer });
        engine.mesh.consume("jobs", consumer);
      } else if (action < 74 && chosen !== undefined) {
        consumers.splice(consumers.indexOf(chosen), 1);
        gone.push(chosen.consumer);
        chosen.engine.mesh.unconsume("jobs", chosen.consumer);
      } else if (action < 80 && chosen !== undefined) {
        chosen.consumer.reads = false;
      } else if (action < 88 && chosen !== undefined) {
        chosen.consumer.reads = true;
        chosen.engine.mesh.resume("jobs", chosen.consumer);
      } else if (action < 90) {
        proxies[pick(3)]!.hold(pick(2) === 0 ? "forward" : "backward");
      } else if (action < 93) {
        const proxy = proxies[pick(3)]!;
        proxy.cut();
        proxy.release();
      } else {
        await Bun.sleep(pick(4));
      }
    }
    for (const proxy of proxies) proxy.release();
    for (const { engine, consumer } of consumers) {
      consumer.reads = true;
      engine.mesh.resume("jobs", consumer);
    }
    const last = new MemoryConsumer();
    engines[0]!.mesh.consume("jobs", last);
    const everyone = () => [...gone, ...consumers.map(({ consumer }) => consumer), last];
    await until(() => everyone().reduce((sum, { got }) => sum + got.length, 0) >= pushed);
    await until(() => engines.every(({ mesh }) => mesh.stats.peers.every((peer) => peer.queueUnconfirmed === 0)));
    const all = everyone().flatMap(({ numbers }) => numbers);
    expect(all.length).toBe(pushed);
    expect(new Set(all).size).toBe(pushed);
    for (const { mesh } of engines) {
      expect(mesh.stats.queueHeld).toBe(0);
      for (const peer of mesh.stats.peers) expect(peer.queueLost).toBe(0);
    }
  });
}
