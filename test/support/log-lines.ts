import type { Log } from "../../src/log.ts";

/** Remembers every line, with its level. */
export class LogLines implements Log {
  readonly lines: string[] = [];
  debug = (message: string) => void this.lines.push(`debug ${message}`);
  info = (message: string) => void this.lines.push(`info ${message}`);
  warn = (message: string) => void this.lines.push(`warn ${message}`);
  error = (message: string) => void this.lines.push(`error ${message}`);

  has(text: string): boolean {
    return this.lines.some((line) => line.includes(text));
  }
}

/** Drops every line. */
export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };
