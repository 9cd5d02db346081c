import { join } from "node:path";
import type { Load } from "./load/load.ts";
import type { Contender } from "./row.ts";
import { type Running, SERVER_CORE, ServerProcess } from "./server-process.ts";

/** A control: the least a Bun program can do for the same traffic. `file` is in `controls/`. */
export function control(name: string, file: string, load: (server: Running) => Load): Contender {
  return {
    name,
    role: "control",
    load,
    start: async () => {
      const process_ = new ServerProcess([process.execPath, join(import.meta.dir, "controls", file)], {
        core: SERVER_CORE,
      });
      return { ports: await process_.ports(), pids: () => process_.pids(), stop: () => process_.stop() };
    },
  };
}
