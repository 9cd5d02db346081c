import type { NodeLoad } from "../../registry/registry.ts";

/** Per second. */
export interface Rates {
  read: number;
  sent: number;
  publishes: number;
}

const NONE: Rates = { read: 0, sent: 0, publishes: 0 };

interface Sample {
  /** Seconds. */
  time: number;
  load: NodeLoad;
}

/**
 * Makes rates of one engine's counters: their mean over a window of seconds. An engine asked directly has new counters at every
 * look; those of the others arrive every few seconds, so their window must be longer than that.
 */
export class RateMeter {
  readonly #window: number;
  readonly #samples: Sample[] = [];

  constructor(window: number) {
    this.#window = window;
  }

  add(time: number, load: NodeLoad): Rates {
    this.#samples.push({ time, load });
    // The oldest one kept is the last that is a whole window old.
    while (this.#samples.length > 2 && this.#samples[1]!.time <= time - this.#window) this.#samples.shift();
    const first = this.#samples[0]!;
    const seconds = time - first.time;
    if (seconds <= 0) return NONE;
    const rate = (counter: "readMessages" | "sentMessages" | "publishes") =>
      Math.max(0, (load[counter] - first.load[counter]) / seconds);
    return { read: rate("readMessages"), sent: rate("sentMessages"), publishes: rate("publishes") };
  }
}
