import { defineCommand } from "citty";
import { startEngine } from "../engine.ts";
import { runNode } from "../node-process.ts";
import { withCenter } from "../single.ts";
import { startWorkers } from "../supervisor.ts";
import { workerRole } from "../worker-link.ts";
import { fileArgument, workersArgument, workersOf } from "./arguments.ts";

export const engine = defineCommand({
  meta: { name: "engine", description: "Run an engine: the gateway that clients and backends connect to" },
  args: { file: fileArgument, workers: workersArgument },
  run({ args }) {
    const workers = workersOf(args.workers);
    return runNode(args.file, (loaded, log) => {
      if (workers > 1) return startWorkers(loaded, log, { workers });
      if (!workerRole) return startEngine(loaded, log, {});
      const { number, of, centerRegistry } = workerRole;
      const configured = centerRegistry === undefined ? loaded : withCenter(loaded, centerRegistry);
      return startEngine(configured, log, { worker: number, workers: of });
    });
  },
});
