import type { Hub } from "../hub/hub.ts";
import { ServerConnection } from "./server-connection.ts";

const TICK_MS = 250;
const PRESSURE_MS = 50;

/**
 * The servers' clock: looks at every connection now and then, for what no event tells: a client that has gone silent, one
 * that does not take what is sent to it, a close the client never answered. `now` is its coarse time, cheap to read per message.
 */
export class Sweeper {
  /**
   * When the next look is due, in milliseconds: monotonic, unmoved by changes of the wall clock. Up to a tick ahead rather than
   * behind, so that no time-out begins before the bytes it is counted from.
   */
  now = performance.now() + TICK_MS;
  #timer: Timer | undefined;
  #soon: Timer | undefined;

  constructor(readonly hub: Hub) {}

  start(): void {
    this.#timer = setInterval(() => this.#sweep(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
  }

  /** Some subscriber did not take a publish at once: look sooner than the next tick. */
  pressure(): void {
    this.#soon ??= setTimeout(() => this.#sweep(), PRESSURE_MS);
  }

  #sweep(): void {
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const now = performance.now();
    this.now = now + TICK_MS;
    for (const connection of this.hub.connections()) {
      if (connection instanceof ServerConnection) connection.sweep(now);
    }
  }
}
