import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { defineCommand } from "citty";
import { builtinFiles } from "../builtin.ts";
import { messageOf, UserError } from "../errors.ts";

export const init = defineCommand({
  meta: { name: "init", description: "Write the default conf/ and lua/, to be edited" },
  args: {
    dir: { type: "positional", default: ".", description: "the folder to write to" },
    force: { type: "boolean", description: "overwrite files that are there already" },
  },
  run({ args }) {
    for (const [name, content] of Object.entries(builtinFiles)) {
      const path = join(args.dir, name);
      if (existsSync(path) && !args.force) {
        console.log(`skipped  ${path} (it is there already; --force overwrites it)`);
        continue;
      }
      try {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content);
      } catch (thrown) {
        throw new UserError(`cannot write ${path} (${messageOf(thrown)})`);
      }
      console.log(`written  ${path}`);
    }
  },
});
