import type { Log } from "./log.ts";

let count = 0;

/** Errors that nothing caught since the start of the process, for the metrics. */
export function uncaughtErrors(): number {
  return count;
}

/** From here on an error that nothing caught is logged and counted, and the process goes on. */
export function surviveFaults(log: Log): void {
  const survive = (what: string) => (thrown: unknown) => {
    count++;
    log.error(`${what}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  };
  process.on("uncaughtException", survive("uncaught error"));
  process.on("unhandledRejection", survive("unhandled rejection"));
}
