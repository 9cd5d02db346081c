import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { messageOf, UserError } from "../errors.ts";
import { dotted, type Path } from "./keys.ts";
import { parseConfig } from "./parse.ts";
import type { Config } from "./schema.ts";
import type { Environment } from "./substitute.ts";

export const DEFAULT_FILE = "conf/connmix.yaml";

export interface LoadedConfig {
  config: Config;
  /** The file as it was named; undefined when the built-in defaults are used. */
  file: string | undefined;
  /**
   * The folder that relative paths start from: that of the file, or the one above when the file is in `conf`; without a
   * file, the current folder.
   */
  root: string;
  /** Where a key is set, for messages: `conf/connmix.yaml:12: engine.servers[0].entry`. */
  where(path: Path): string;
}

/**
 * Reads the configuration: the file given, else `conf/connmix.yaml` where there is one, else the built-in defaults. The
 * paths of the log file and of certificates come back absolute. Throws a `UserError` when the file cannot be read or is not valid.
 */
export function loadConfig(file?: string, environment: Environment = process.env): LoadedConfig {
  const named = file ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  const root = rootOf(named);
  const { config, line } = parseConfig(named === undefined ? "" : read(named), named ?? "defaults", environment);
  resolvePaths(config, root);
  return {
    config,
    file: named,
    root,
    where: (path) => (named === undefined ? dotted(path) : `${named}:${line(path)}: ${dotted(path)}`),
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (thrown) {
    throw new UserError(
      `${file}: cannot read the configuration (${messageOf(thrown)}); "connmix init" writes one to start from`,
    );
  }
}

function rootOf(file: string | undefined): string {
  if (file === undefined) return process.cwd();
  const folder = dirname(resolve(file));
  return basename(folder) === "conf" ? dirname(folder) : folder;
}

function resolvePaths({ logging, center, engine }: Config, root: string): void {
  logging.filename = resolve(root, logging.filename);
  for (const { tls } of [center.apiServer, engine.apiServer, ...engine.servers]) {
    if (!tls) continue;
    tls.cert = resolve(root, tls.cert);
    tls.key = resolve(root, tls.key);
  }
}
