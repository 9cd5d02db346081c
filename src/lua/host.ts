import type { Hub } from "../hub/hub.ts";
import type { Json } from "../json.ts";
import type { Log } from "../log.ts";
import type { Operations } from "../mesh/operations.ts";

/** A Redis server scripts may talk to by `name` (`engine.luavm.redis[]`). */
export interface RedisOptions {
  name: string;
  addr: string;
  password?: string;
  db: number;
  poolSize: number;
  /** Seconds after which an unused connection is closed. */
  idleTimeout: number;
}

/** What a script's libraries may reach: given once to each VM, in plain options. */
export interface ScriptHost {
  hub: Hub;
  operations: Operations;
  log: Log;
  nodeId: string;
  /** `options` of the server entry: what `mix.server.option(name)` answers. */
  options: Record<string, Json>;
  redis: RedisOptions[];
}
