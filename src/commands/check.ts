import { defineCommand } from "citty";
import { type Entry, entryOf } from "../config/entry.ts";
import { loadConfig } from "../config/load.ts";
import { messageOf, UserError } from "../errors.ts";
import { type CertificateFiles, readCertificate } from "../listen/certificate.ts";
import { checkScript } from "../lua/check.ts";
import { readScript } from "../lua/source.ts";
import { fileArgument } from "./arguments.ts";

export const check = defineCommand({
  meta: { name: "check", description: "Validate the configuration and compile every entry script" },
  args: { file: fileArgument },
  run({ args }) {
    const loaded = loadConfig(args.file);
    console.log(`${loaded.file ?? "the built-in configuration"}: valid`);
    const { center, engine } = loaded.config;
    const errors = [
      ...brokenCertificate(center.apiServer.tls, loaded.where(["center", "apiServer", "tls"])),
      ...brokenCertificate(engine.apiServer.tls, loaded.where(["engine", "apiServer", "tls"])),
    ];
    const seen = new Set<string>();
    for (const [index, { protocol, tls }] of engine.servers.entries()) {
      errors.push(...brokenCertificate(tls, loaded.where(["engine", "servers", index, "tls"])));
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
  return "path" in entry ? readScript(entry.path) : entry.source;
}

function brokenCertificate(files: CertificateFiles | undefined, where: string): string[] {
  try {
    if (files) readCertificate(files, where);
    return [];
  } catch (thrown) {
    return [messageOf(thrown)];
  }
}
