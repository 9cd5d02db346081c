import { defineCommand } from "citty";
import { startCenter } from "../center.ts";
import { runNode } from "../node-process.ts";
import { fileArgument } from "./arguments.ts";

export const center = defineCommand({
  meta: { name: "center", description: "Run a center: the registry where engines find each other" },
  args: { file: fileArgument },
  run: ({ args }) => runNode(args.file, startCenter),
});
