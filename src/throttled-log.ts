import type { Log } from "./log.ts";

const INTERVAL = 10_000;
const MAX_KINDS = 1000;

/**
 * Log lines that clients and peers can cause again and again: of each kind at most `lines` in ten seconds; the next one after
 * that says how many were left out. The metrics count all of them.
 */
export class ThrottledLog {
  readonly #log: Log;
  readonly #lines: number;
  readonly #kinds = new Map<string, { until: number; lines: number }>();

  constructor(log: Log, lines = 1) {
    this.#log = log;
    this.#lines = lines;
  }

  warn(kind: string, message: string): void {
    this.#write("warn", kind, message);
  }

  error(kind: string, message: string): void {
    this.#write("error", kind, message);
  }

  #write(level: "warn" | "error", kind: string, message: string): void {
    const now = performance.now();
    let entry = this.#kinds.get(kind);
    let skipped = 0;
    if (entry === undefined || now >= entry.until) {
      skipped = Math.max(0, (entry?.lines ?? 0) - this.#lines);
      // Kinds may contain addresses of strangers, so their number must not grow with what strangers do.
      if (entry === undefined && this.#kinds.size >= MAX_KINDS) this.#kinds.clear();
      entry = { until: now + INTERVAL, lines: 0 };
      this.#kinds.set(kind, entry);
    }
    entry.lines++;
    if (entry.lines <= this.#lines) this.#log[level](skipped > 0 ? `${message} (${skipped} more like this)` : message);
  }
}
