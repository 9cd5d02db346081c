import type { Log } from "../log.ts";

const PER_SECOND = 5;

/**
 * Logs what goes wrong with single clients without letting a crowd of them flood the log: at most five lines of a kind each
 * second, then how many more there were. The counters in the metrics count all of them.
 */
export class Incidents {
  readonly #log: Log;
  readonly #kinds = new Map<string, { second: number; lines: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  report(kind: string, message: string): void {
    const second = Math.floor(performance.now() / 1000);
    let entry = this.#kinds.get(kind);
    if (entry === undefined) {
      entry = { second, lines: 0 };
      this.#kinds.set(kind, entry);
    }
    if (entry.second !== second) {
      const unseen = entry.lines - PER_SECOND;
      if (unseen > 0) this.#log.warn(`${kind}: ${unseen} more in the second before, not shown`);
      entry.second = second;
      entry.lines = 0;
    }
    entry.lines++;
    if (entry.lines <= PER_SECOND) this.#log.warn(message);
  }
}
