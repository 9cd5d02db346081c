import type { LoadedConfig } from "./config/load.ts";
import { UserError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { RunningNode } from "./node.ts";

/** Placeholder until the engine is composed. */
export async function startEngine(
  _loaded: LoadedConfig,
  _log: Log,
  _options: { worker?: number; workers?: number } = {},
): Promise<RunningNode> {
  throw new UserError("the engine is not composed yet");
}
