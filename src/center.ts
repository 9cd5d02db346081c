import type { LoadedConfig } from "./config/load.ts";
import { UserError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { RunningCenter } from "./node.ts";

/** Placeholder until the center is composed. */
export async function startCenter(_loaded: LoadedConfig, _log: Log): Promise<RunningCenter> {
  throw new UserError("the center is not composed yet");
}
