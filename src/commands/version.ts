import { defineCommand } from "citty";
import { versionLine } from "../version.ts";

export const version = defineCommand({
  meta: { name: "version", description: "Print the version" },
  run() {
    console.log(versionLine());
  },
});
