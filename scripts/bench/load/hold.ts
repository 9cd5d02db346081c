import { cpuSeconds, cpuSecondsSince, residentBytes } from "../process-usage.ts";
import type { Assignment, HoldLoad, Measurement } from "./load.ts";
import { connectAll } from "./wire.ts";

const SETTLE_LIMIT_MS = 10_000;
/** How often it is looked at, as a share of a round's time. */
const LOOKS_PER_ROUND = 4;
/** Memory has settled when it moved less than this share between two looks. */
const SETTLED = 0.002;

/** Opens the connections and reads what they cost the server. */
export async function hold(load: HoldLoad, { pids, seconds: roundSeconds }: Assignment): Promise<Measurement> {
  const before = await settled(pids, roundSeconds);
  const cpuBefore = cpuSeconds(pids);
  const clientBefore = process.cpuUsage();
  const start = performance.now();
  await connectAll(load.targets, load.connections);
  const seconds = (performance.now() - start) / 1000;
  const client = process.cpuUsage(clientBefore);
  const serverCpuSeconds = cpuSecondsSince(cpuBefore, pids);
  const after = await settled(pids, roundSeconds);
  return {
    messages: load.connections,
    seconds,
    serverCpuSeconds,
    clientCpuSeconds: (client.user + client.system) / 1e6,
    p50: 0,
    p99: 0,
    bytesPerConnection: (after - before) / load.connections,
  };
}

async function settled(pids: readonly number[], roundSeconds: number): Promise<number> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  let bytes = residentBytes(pids);
  for (let calm = 0; calm < 3 && performance.now() < deadline; ) {
    await Bun.sleep((roundSeconds * 1000) / LOOKS_PER_ROUND);
    const now = residentBytes(pids);
    calm = Math.abs(now - bytes) < bytes * SETTLED ? calm + 1 : 0;
    bytes = now;
  }
  return bytes;
}
