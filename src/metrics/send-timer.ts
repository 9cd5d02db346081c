import { DurationWindow } from "./duration-window.ts";
import type { Durations } from "./metric-set.ts";

/**
 * How long `mesh.send` takes, by scenario. `local`: caller and client are on this engine; the time to write to the client, by
 * the protocol of its port. `forward`: the client is on another engine; the time until that engine's answer. Only the client's
 * own engine knows which port it came in by, so there the protocol is what carried the send: `mesh`.
 */
export class SendTimer {
  readonly #maxAge: number;
  readonly #ageBuckets: number;
  readonly #local = new Map<string, DurationWindow>();
  #forward: DurationWindow | undefined;

  /** `maxAge` in seconds, of the window that the quantiles are about; it expires in `ageBuckets` parts. */
  constructor(maxAge: number, ageBuckets: number) {
    this.#maxAge = maxAge;
    this.#ageBuckets = ageBuckets;
  }

  /** A send to a client of this engine that began at `started` (`performance.now()`) has just ended. */
  local(protocol: string, started: number): void {
    let window = this.#local.get(protocol);
    if (window === undefined) {
      window = new DurationWindow(this.#maxAge, this.#ageBuckets);
      this.#local.set(protocol, window);
    }
    window.finish(started);
  }

  /** A send that was handed to another engine at `started` has just been answered. */
  forwarded(started: number): void {
    this.#forward ??= new DurationWindow(this.#maxAge, this.#ageBuckets);
    this.#forward.finish(started);
  }

  durations(): Durations[] {
    const durations = [...this.#local].map(([protocol, window]) => ({
      labels: { protocol, scenario: "local" },
      window,
    }));
    if (this.#forward === undefined) return durations;
    return [...durations, { labels: { protocol: "mesh", scenario: "forward" }, window: this.#forward }];
  }
}
