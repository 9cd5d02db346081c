import type { Log } from "../log.ts";

const INTERVAL = 10_000;
const MAX_KEYS = 1000;

/** Warnings that a peer can cause again and again: of each kind one line in ten seconds, with the number left out before. */
export class ThrottledLog {
  readonly #log: Log;
  readonly #kinds = new Map<string, { next: number; skipped: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  warn(kind: string, message: string): void {
    const now = performance.now();
    const known = this.#kinds.get(kind);
    if (known !== undefined && now < known.next) {
      known.skipped++;
      return;
    }
    // Kinds may contain addresses of strangers, so their number must not grow with what strangers do.
    if (known === undefined && this.#kinds.size >= MAX_KEYS) this.#kinds.clear();
    this.#kinds.set(kind, { next: now + INTERVAL, skipped: 0 });
    this.#log.warn(known?.skipped ? `${message} (${known.skipped} more like this)` : message);
  }
}
