import { accountLater } from "../turn.ts";
import { DurationWindow } from "./duration-window.ts";
import type { Durations } from "./metric-set.ts";

/**
 * How long `mesh.send` takes, by scenario. `local`: caller and client are on this engine; the time until it is written to the
 * client, at the end of the turn of the event loop, by the protocol of its port. `forward`: the client is on another engine; the time until that engine's answer. Only the client's
 * own engine knows which port it came in by, so there the protocol is what carried the send: `mesh`.
 */
export class SendTimer {
  readonly #maxAge: number;
  readonly #ageBuckets: number;
  readonly #local = new Map<string, DurationWindow>();
  #forward: DurationWindow | undefined;
  /** Sends of this turn, in order: where they count and when they began. */
  #windows: DurationWindow[] = [];
  #started: number[] = [];

  /** `maxAge` in seconds, of the window that the quantiles are about; it expires in `ageBuckets` parts. */
  constructor(maxAge: number, ageBuckets: number) {
    this.#maxAge = maxAge;
    this.#ageBuckets = ageBuckets;
  }

  /** A send to a client of this engine began at `started` (`performance.now()`); it ends with this turn. */
  local(protocol: string, started: number): void {
    let window = this.#local.get(protocol);
    if (window === undefined) {
      window = new DurationWindow(this.#maxAge, this.#ageBuckets);
      this.#local.set(protocol, window);
    }
    this.#windows.push(window);
    if (this.#started.push(started) === 1) accountLater(this.#account);
  }

  /** A send that was handed to another engine at `started` has just been answered. */
  forwarded(started: number): void {
    this.#forward ??= new DurationWindow(this.#maxAge, this.#ageBuckets);
    this.#forward.observe(started, performance.now());
  }

  readonly #account = (): void => {
    const windows = this.#windows;
    const started = this.#started;
    this.#windows = [];
    this.#started = [];
    const now = performance.now();
    for (let i = 0; i < windows.length; i++) windows[i]!.observe(started[i]!, now);
  };

  durations(): Durations[] {
    const durations = [...this.#local].map(([protocol, window]) => ({
      labels: { protocol, scenario: "local" },
      window,
    }));
    if (this.#forward === undefined) return durations;
    return [...durations, { labels: { protocol: "mesh", scenario: "forward" }, window: this.#forward }];
  }
}
