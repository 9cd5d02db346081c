import { defineCommand } from "citty";
import { runNode } from "../node-process.ts";
import { startSingle } from "../single.ts";
import { fileArgument } from "./arguments.ts";

export const dev = defineCommand({
  meta: { name: "dev", description: "Run a center and an engine in one process, for development" },
  args: { file: fileArgument },
  run: ({ args }) => runNode(args.file, (loaded, log) => startSingle(loaded, log, { anyOrigin: true })),
});
