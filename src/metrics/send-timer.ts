import { DurationWindow } from "./duration-window.ts";
import type { Durations } from "./metric-set.ts";

/** `local`: the client is connected to this engine and so was the caller. `forward`: the send came from another engine. */
export type Scenario = "local" | "forward";

/** How long sends to clients take, by the protocol of the client's server. */
export class SendTimer {
  readonly #maxAge: number;
  readonly #ageBuckets: number;
  readonly #local = new Map<string, DurationWindow>();
  readonly #forward = new Map<string, DurationWindow>();

  /** `maxAge` in seconds, of the window that the quantiles are about; it expires in `ageBuckets` parts. */
  constructor(maxAge: number, ageBuckets: number) {
    this.#maxAge = maxAge;
    this.#ageBuckets = ageBuckets;
  }

  /** A send that began at `started` (`performance.now()`) has just ended. */
  finish(protocol: string, scenario: Scenario, started: number): void {
    const windows = scenario === "local" ? this.#local : this.#forward;
    let window = windows.get(protocol);
    if (window === undefined) {
      window = new DurationWindow(this.#maxAge, this.#ageBuckets);
      windows.set(protocol, window);
    }
    window.finish(started);
  }

  durations(): Durations[] {
    return [
      ...[...this.#local].map(([protocol, window]) => ({ labels: { protocol, scenario: "local" }, window })),
      ...[...this.#forward].map(([protocol, window]) => ({ labels: { protocol, scenario: "forward" }, window })),
    ];
  }
}
