import { cpuSeconds, cpuSecondsSince } from "../process-usage.ts";
import { Histogram } from "../statistics.ts";
import type { Assignment, Measurement, Warmup } from "./load.ts";

const WARMUP_LIMIT_MS = 4000;
const WARMUP_LOOK_MS = 20;

/** What a load counts while it runs: messages, and the time each took. */
export class Tally {
  messages = 0;
  readonly latency = new Histogram();
  readonly #failed = Promise.withResolvers<never>();

  constructor() {
    // A failure before the measuring began is kept for `measure`, not reported as unhandled.
    this.#failed.promise.catch(() => {});
  }

  /** Ends the run: what is measured from here on would be wrong. */
  fail(error: Error): void {
    this.#failed.reject(error);
  }

  /** Lets the load that is already running warm up, then measures it. */
  measure({ pids, warmup, seconds }: Assignment): Promise<Measurement> {
    return Promise.race([this.#failed.promise, this.#window(pids, warmup, seconds)]);
  }

  /** Every one of the processes compiles its code for itself. */
  async #warmUp({ seconds, messages }: Warmup, processes: number): Promise<void> {
    const limit = performance.now() + WARMUP_LIMIT_MS * processes;
    await Bun.sleep(seconds * 1000);
    while (this.messages < messages * processes && performance.now() < limit) await Bun.sleep(WARMUP_LOOK_MS);
  }

  async #window(pids: readonly number[], warmup: Warmup, seconds: number): Promise<Measurement> {
    await this.#warmUp(warmup, pids.length);
    const serverBefore = cpuSeconds(pids);
    const clientBefore = process.cpuUsage();
    const start = performance.now();
    this.messages = 0;
    this.latency.clear();
    await Bun.sleep(seconds * 1000);
    const { messages } = this;
    if (messages === 0) throw new Error("nothing came back in the measured time");
    const elapsed = (performance.now() - start) / 1000;
    const client = process.cpuUsage(clientBefore);
    return {
      messages,
      seconds: elapsed,
      serverCpuSeconds: cpuSecondsSince(serverBefore, pids),
      clientCpuSeconds: (client.user + client.system) / 1e6,
      p50: this.latency.percentile(0.5),
      p99: this.latency.percentile(0.99),
    };
  }
}
