import { UserError } from "../errors.ts";

/** `-f`, which every command that reads the configuration takes. */
export const fileArgument = {
  type: "string",
  alias: "f",
  valueHint: "path",
  description: "the configuration (conf/connmix.yaml when it is there, else the built-in defaults)",
} as const;

/** `-p`, of the commands that can run several engine processes. */
export const workersArgument = {
  type: "string",
  alias: "p",
  valueHint: "N",
  default: "1",
  description: "engine processes that share the ports",
} as const;

const MAX_WORKERS = 256;

/** Throws a `UserError` when `-p` is not a number of processes. */
export function workersOf(given: string): number {
  const workers = Number(given);
  if (/^\d+$/.test(given) && workers >= 1 && workers <= MAX_WORKERS) return workers;
  throw new UserError(`-p: found ${JSON.stringify(given)}, expected a number of processes from 1 to ${MAX_WORKERS}`, 2);
}
