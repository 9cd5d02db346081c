import { closeSync, openSync, readFileSync } from "node:fs";
import { devNull } from "node:os";
import type { Log } from "./log.ts";

const INTERVAL_MS = 2000;
/** Shares of the limit above which it is said, and below which it is said again. */
const HIGH = 0.9;
const LOW = 0.8;

/**
 * Says in the log when the process comes near the limit of open files, of which each client is one: beyond it the system keeps
 * further clients waiting without a word to them or to us.
 */
export function watchOpenFiles(log: Log): void {
  const limit = openFilesLimit();
  if (limit === undefined) return;
  let high = false;
  setInterval(() => {
    const open = openFiles(limit);
    if (!high && open >= HIGH * limit) {
      high = true;
      log.warn(
        `${open} files are open, and at ${limit} clients are kept waiting: raise the limit (ulimit -n, LimitNOFILE)`,
      );
    } else if (high && open < LOW * limit) {
      high = false;
      log.info(`${open} files are open now, of ${limit} at most`);
    }
  }, INTERVAL_MS).unref();
}

/** The system hands out the lowest number that is free, so that many are open at least. */
function openFiles(limit: number): number {
  try {
    const lowest = openSync(devNull, "r");
    closeSync(lowest);
    return lowest;
  } catch {
    return limit;
  }
}

/** As Linux tells it; undefined elsewhere, and where there is none. */
function openFilesLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
