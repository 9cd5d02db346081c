import { z } from "zod";
import { configSchema } from "./schema.ts";

/** A key of the configuration, or one level of keys, as JSON Schema (draft 2020-12) describes it. */
export interface Key {
  type?: string | string[];
  description?: string;
  /** The key, with all below it, takes effect while running. */
  reload?: boolean;
  properties?: Record<string, Key>;
  items?: Key;
  anyOf?: Key[];
}

export type Path = PropertyKey[];

/** The whole configuration as a tree of keys. */
export const rootKey = z.toJSONSchema(configSchema, { io: "input" }) as Key;

/** What stands below `key` under a name or an index. */
export function childOf(key: Key | undefined, segment: PropertyKey): Key | undefined {
  return typeof segment === "number" ? key?.items : key?.properties?.[String(segment)];
}

export function keyAt(path: Path): Key | undefined {
  return path.reduce<Key | undefined>(childOf, rootKey);
}

/** `engine.servers[0].port` */
export function dotted(path: Path): string {
  return path.reduce<string>(
    (text, segment) =>
      typeof segment === "number" ? `${text}[${segment}]` : `${text}${text && "."}${String(segment)}`,
    "",
  );
}

/**
 * The key of this level that `written` means: its own name or any snake_case spelling of it (`read_timeout`, and
 * `bytecode_expires` for `byteCodeExpires`).
 */
export function canonical(level: Key, written: string): string | undefined {
  const names = Object.keys(level.properties ?? {});
  if (names.includes(written)) return written;
  if (!/^[a-z0-9]+(_[a-z0-9]+)+$/.test(written)) return undefined;
  const squashed = written.replaceAll("_", "");
  return names.find((name) => name.toLowerCase() === squashed);
}

/** The key of this level that `written` was most likely meant to be. */
export function closest(level: Key, written: string): string | undefined {
  const wanted = written.replaceAll("_", "").toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const name of Object.keys(level.properties ?? {})) {
    const distance = editDistance(wanted, name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
