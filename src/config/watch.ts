import { statSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { messageOf, UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import { childOf, dotted, type Key, type Path, rootKey } from "./keys.ts";
import { type LoadedConfig, loadConfig } from "./load.ts";
import type { Config } from "./schema.ts";

export interface ConfigWatch {
  /** Reads the file now, changed or not; what SIGHUP asks for. */
  reload(): void;
  stop(): void;
}

const INTERVAL = 1000;

/**
 * Follows the configuration file and calls back with the running configuration after each change of keys that take effect
 * at once, named as in `logging.level`. Changes of other keys are logged as waiting for a restart; a broken edit is logged
 * once and changes nothing. `interval` is milliseconds.
 */
export function watchConfig(
  loaded: LoadedConfig,
  log: Log,
  onChange: (config: Config, changed: string[]) => void,
  interval = INTERVAL,
): ConfigWatch {
  const { file } = loaded;
  if (file === undefined) return { reload() {}, stop() {} };

  const running = structuredClone(loaded.config);
  let last = loaded.config;
  let read = fingerprint(file);
  let seen = read;

  const reload = () => {
    read = seen = fingerprint(file);
    let next: LoadedConfig;
    try {
      // On a full disk a saved file ends up empty: that is no wish to go on without users and limits.
      if (statSync(file, { throwIfNoEntry: false })?.size === 0) throw new UserError(`${file} is empty`);
      next = loadConfig(file);
    } catch (thrown) {
      log.error(`the configuration was not reloaded, the old one stays:\n${messageOf(thrown)}`);
      return;
    }
    const changed: string[] = [];
    for (const { path, live } of changes(last, next.config)) {
      if (live && assign(running, path, next.config)) changed.push(dotted(path));
      else log.warn(`${next.where(path)} changed: this takes effect at the next start`);
    }
    last = next.config;
    if (changed.length === 0) return;
    log.info(`configuration reloaded: ${changed.join(", ")}`);
    onChange(running, changed);
  };

  const timer = setInterval(() => {
    const now = fingerprint(file);
    // An editor may be half-way through writing: read once the file has kept still for one interval.
    if (now !== read && now === seen) reload();
    seen = now;
  }, interval);
  timer.unref();
  return { reload, stop: () => clearInterval(timer) };
}

function fingerprint(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat ? `${stat.ino} ${stat.mtimeMs} ${stat.size}` : "absent";
}

interface Change {
  path: Path;
  /** Takes effect while running. */
  live: boolean;
}

function* changes(before: unknown, after: unknown, key: Key | undefined = rootKey, path: Path = []): Generator<Change> {
  if (isDeepStrictEqual(before, after)) return;
  if (key?.reload) yield { path, live: true };
  else if (Array.isArray(before) && Array.isArray(after) && before.length === after.length && key?.items) {
    for (const [index, item] of after.entries()) yield* changes(before[index], item, key.items, [...path, index]);
  } else if (isObject(before) && isObject(after) && key?.properties) {
    for (const name of Object.keys(key.properties)) {
      yield* changes(before[name], after[name], childOf(key, name), [...path, name]);
    }
  } else yield { path, live: false };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Copies the value at `path`; false when the target has no such place, as for a server that is not running. */
function assign(target: object, path: Path, source: object): boolean {
  const name = path.at(-1)!;
  for (const segment of path.slice(0, -1)) {
    const [into, from]: unknown[] = [Reflect.get(target, segment), Reflect.get(source, segment)];
    if (typeof into !== "object" || into === null || typeof from !== "object" || from === null) return false;
    target = into;
    source = from;
  }
  return Reflect.set(target, name, structuredClone(Reflect.get(source, name)));
}
