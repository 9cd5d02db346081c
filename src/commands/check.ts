import { readFileSync } from "node:fs";
import { defineCommand } from "citty";
import { type Entry, entryOf } from "../config/entry.ts";
import { loadConfig } from "../config/load.ts";
import { messageOf, UserError } from "../errors.ts";
import { checkScript } from "../lua/check.ts";
import { fileArgument } from "./arguments.ts";

export const check = defineCommand({
  meta: { name: "check", description: "Validate the configuration and compile every entry script" },
  args: { file: fileArgument },
  run({ args }) {
    const loaded = loadConfig(args.file);
    console.log(`${loaded.file ?? "the built-in configuration"}: valid`);
    const { apiServer, servers } = loaded.config.engine;
    const errors: string[] = [];
    for (const { tls } of [apiServer, loaded.config.center.apiServer, ...servers]) {
      if (tls) errors.push(...unreadable(tls.cert), ...unreadable(tls.key));
    }
    const seen = new Set<string>();
    for (const [index, { protocol }] of servers.entries()) {
      try {
        const entry = entryOf(loaded, index);
        const name = "path" in entry ? entry.path : `${entry.name} (built-in)`;
        if (seen.has(`${protocol} ${name}`)) continue;
        seen.add(`${protocol} ${name}`);
        const found = checkScript(sourceOf(entry), name, protocol);
        for (const { line, message, severity } of found) {
          const text = `${name}:${line}: ${severity}: ${message}`;
          if (severity === "error") errors.push(text);
          else console.log(text);
        }
        if (!found.some(({ severity }) => severity === "error")) console.log(`${name}: compiles (${protocol})`);
      } catch (thrown) {
        errors.push(messageOf(thrown));
      }
    }
    if (errors.length > 0) throw new UserError(errors.join("\n"));
  },
});

function sourceOf(entry: Entry): Uint8Array | string {
  return "path" in entry ? readFileSync(entry.path) : entry.source;
}

function unreadable(path: string): string[] {
  try {
    readFileSync(path);
    return [];
  } catch (thrown) {
    return [`${path}: cannot be read (${messageOf(thrown)})`];
  }
}
