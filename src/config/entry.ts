import { existsSync } from "node:fs";
import { normalize, resolve } from "node:path";
import { builtinFile } from "../builtin.ts";
import { UserError } from "../errors.ts";
import type { LoadedConfig } from "./load.ts";

/** A script on disk, or a built-in one under the name errors show. */
export type Entry = { path: string } | { name: string; source: string };

/**
 * The entry script of `engine.servers[index]`: the file below the configuration's root, else the built-in script of that
 * name. Throws a `UserError` when there is neither.
 */
export function entryOf({ config, root, where }: LoadedConfig, index: number): Entry {
  const { entry } = config.engine.servers[index]!;
  const path = resolve(root, entry);
  if (existsSync(path)) return { path };
  const name = normalize(entry).replaceAll("\\", "/");
  const source = builtinFile(name);
  if (source !== undefined) return { name, source };
  throw new UserError(
    `${where(["engine", "servers", index, "entry"])}: found ${JSON.stringify(entry)}, expected a Lua script, but there is none at ${path}`,
  );
}
