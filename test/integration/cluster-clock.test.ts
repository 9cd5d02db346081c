import { expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import { REGISTRIES, type RegistryKind, withCluster } from "../support/cluster.ts";
import type { Connmix } from "../support/connmix.ts";
import { connectTo } from "../support/station.ts";
import { expectNothingLost, Traffic } from "../support/traffic.ts";

setDefaultTimeout(60_000);

const SUPPORT = resolve(import.meta.dir, "../support");
const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const HOUR_MS = 3_600_000;
const SHIFTED = {
  program: [process.execPath, "--preload", `${SUPPORT}/shifted-clock.ts`, MAIN],
  env: { CLOCK_SHIFT_MS: String(-HOUR_MS) },
};

async function ids(engine: Connmix, count: number): Promise<string[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => connectTo(engine)));
  for (const { socket } of clients) socket.close();
  return clients.map(({ id }) => id);
}

/** How far an engine's clock is behind this process's, in hours. */
async function hoursBehind(engine: Connmix): Promise<number> {
  const { socket } = await connectTo(engine);
  const time = Number(await socket.ask("time"));
  socket.close();
  return Math.round((Date.now() / 1000 - time) / 3600);
}

async function setBack(kind: RegistryKind): Promise<void> {
  await withCluster(kind, 2, async (cluster) => {
    const before = await cluster.registrations();
    const late = await cluster.addEngine(SHIFTED);
    await cluster.linked();
    expect(await hoursBehind(late)).toBe(1);
    const issued: string[] = [];
    for (const engine of cluster.engines) issued.push(...(await ids(engine, 50)));

    const traffic = await Traffic.start(cluster.engines, cluster.engines, 10);
    await traffic.run(50);
    // Once more an hour, in the middle of the traffic.
    late.signal("SIGUSR2");
    expect(await hoursBehind(late)).toBe(2);
    await traffic.run(300);
    issued.push(...(await ids(late, 50)));
    await cluster.linked();
    expect(await cluster.registrations()).toMatchObject(before);
    await traffic.stop();
    expectNothingLost(traffic, 2000);

    // Restarted with its clock still behind.
    cluster.engines.splice(cluster.engines.indexOf(late), 1);
    expect(await late.stop()).toBe(0);
    const restarted = await cluster.addEngine(SHIFTED);
    await cluster.linked();
    issued.push(...(await ids(restarted, 50)));
    expect(new Set(issued).size).toBe(250);
  });
}

test("an engine whose clock is an hour back, and set back again while it runs, issues no id twice and disturbs nothing", async () => {
  await Promise.all(REGISTRIES.map(setBack));
});
