import { realpathSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { textArgument } from "./arguments.ts";
import { readScript } from "./source.ts";
import type { LuaState } from "./state.ts";

/** A file's time and size when it was read: another one means it changed. */
export type Signature = string;

/** Where `require` looks, in this order. */
export interface ModulePlaces {
  /** The entry's folder, then the library folders; nothing outside them is ever read. */
  folders: string[];
  /** Sources that come with the program, by path, e.g. "lua/protocols/text.lua". */
  builtins: Readonly<Record<string, string>>;
}

/** The signature of the file at `path`; `undefined` when there is none. */
export function signatureOf(path: string): Signature | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.mtimeMs}:${stat.size}`;
}

/** Reads a source file and notes it in `files`. */
export function readSource(path: string, files: Map<string, Signature>): Uint8Array {
  const signature = signatureOf(path);
  if (signature !== undefined) files.set(path, signature);
  return readScript(path);
}

/**
 * `require` and a `package` with `loaded`, `preload` and nothing else. "a.b" is `a/b.lua` or `a/b/init.lua`; a bare name is also
 * looked for among the utilities. Every file read is noted in `files`, for the reload.
 */
export function installRequire(L: LuaState, places: ModulePlaces, files: Map<string, Signature>): void {
  L.newTable();
  L.newTable();
  for (const name of ["_G", "string", "table", "math", "os", "utf8", "coroutine", "bit"]) {
    L.getGlobal(name);
    L.setField(-2, name);
  }
  L.setField(-2, "loaded");
  L.newTable();
  L.setField(-2, "preload");
  L.pushText(places.folders.map((folder) => join(folder, "?.lua")).join(";"));
  L.setField(-2, "path");
  L.pushValue(-1);
  L.setGlobal("package");
  L.pushFunction((state) => require(state, places, files), 1);
  L.setGlobal("require");
}

/** What `package.loaded` holds while a module runs. */
const LOADING = Object.freeze({});

function require(L: LuaState, places: ModulePlaces, files: Map<string, Signature>): number {
  const name = textArgument(L, 1);
  L.setTop(1);
  if (L.getField(L.upvalue(1), "loaded") !== "table") L.error("package.loaded is not a table");
  if (L.getField(2, name) !== "nil") {
    if (L.toUserdata(3) === LOADING) L.error(`module '${name}' requires itself, directly or through others`);
    return 1;
  }
  L.pop();
  L.pushLightUserdata(LOADING);
  L.setField(2, name);
  pushLoader(L, name, places, files);
  L.pushValue(1);
  if (L.protectedCall(1, 1) === "error") {
    L.pushNil();
    L.setField(2, name);
    L.raise();
  }
  if (L.type(-1) === "nil") {
    L.getField(2, name);
    if (L.toUserdata(-1) === LOADING) {
      L.pop();
      L.pushBoolean(true);
    }
  }
  L.pushValue(-1);
  L.setField(2, name);
  return 1;
}

/** Pushes the function that makes the module, or raises why there is none. */
function pushLoader(L: LuaState, name: string, places: ModulePlaces, files: Map<string, Signature>): void {
  if (L.getField(L.upvalue(1), "preload") === "table" && L.getField(-1, name) === "function") return;
  const found = find(name, places, files);
  if ("error" in found) fail(L, name, `module '${name}' not found: ${found.error}`);
  if (L.load(found.source, found.path) === "error") fail(L, name, `module '${name}' does not compile: ${L.toText(-1)}`);
}

function fail(L: LuaState, name: string, message: string): never {
  L.pushNil();
  L.setField(2, name);
  return L.error(message);
}

type Found = { path: string; source: Uint8Array | string } | { error: string };

function find(name: string, places: ModulePlaces, files: Map<string, Signature>): Found {
  const parts = name.replaceAll(".", "/").split("/");
  if (!parts.every((part) => /^[\w-]+$/.test(part))) {
    return { error: "a module name is made of letters, digits, '_' and '-', with dots between folders" };
  }
  const base = parts.join("/");
  const candidates = [`${base}.lua`, `${base}/init.lua`, `utils/${base}.lua`];
  for (const folder of places.folders) {
    for (const candidate of candidates) {
      const path = join(folder, candidate);
      if (!isInside(path, folder)) continue;
      return { path, source: readSource(path, files) };
    }
  }
  for (const candidate of candidates) {
    const path = `lua/${candidate}`;
    const source = Object.hasOwn(places.builtins, path) ? places.builtins[path] : undefined;
    if (source !== undefined) return { path, source };
  }
  return { error: `no ${base}.lua in ${places.folders.join(", ")} and among those built in` };
}

/** True for a file that exists and that no symbolic link takes out of `folder`. */
function isInside(path: string, folder: string): boolean {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return false;
  return realpathSync(path).startsWith(realpathSync(folder) + sep);
}

/** The folders of an entry script: its own, then the libraries'. */
export function foldersOf(entry: string | undefined, libraries: string[]): string[] {
  return [...new Set(entry === undefined ? libraries : [dirname(entry), ...libraries])];
}
