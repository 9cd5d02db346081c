import { defineCommand } from "citty";
import { runNode } from "../node-process.ts";
import { startSingle } from "../single.ts";
import { fileArgument, workersArgument, workersOf } from "./arguments.ts";

export const single = defineCommand({
  meta: { name: "single", description: "Run a center and an engine, for production on one machine" },
  args: { file: fileArgument, workers: workersArgument },
  run({ args }) {
    const workers = workersOf(args.workers);
    return runNode(args.file, (loaded, log) => startSingle(loaded, log, { workers }));
  },
});
