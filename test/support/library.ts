import { createState } from "../../src/lua/fengari.ts";
import type { LuaState } from "../../src/lua/state.ts";
import { readJson } from "../../src/lua/values.ts";

/** A bare VM in which `mix` holds the libraries that `install` adds to the table on top of the stack. */
export function stateWith(...install: ((L: LuaState) => void)[]): LuaState {
  const L = createState();
  for (const name of ["_G", "coroutine", "table", "string", "math"] as const) L.openLibrary(name);
  L.newTable();
  for (const library of install) library(L);
  L.setGlobal("mix");
  return L;
}

/**
 * Runs Lua source and returns what it returns: strings as text, or as Buffer when they are not UTF-8, tables as JSON, nil as
 * undefined. A Lua error is thrown.
 */
export function evaluate(L: LuaState, source: string): unknown[] {
  L.setTop(0);
  if (L.load(source, "test") !== "ok" || L.protectedCall(0, -1) !== "ok") throw new Error(L.toText(-1));
  return Array.from({ length: L.getTop() }, (_, i) => valueAt(L, i + 1));
}

function valueAt(L: LuaState, index: number): unknown {
  const type = L.type(index);
  if (type === "nil") return undefined;
  if (type === "string") return L.toStrictText(index) ?? Buffer.from(L.toBytes(index)!);
  if (type === "function" || type === "thread") return type;
  const read = readJson(L, index);
  if ("error" in read) throw new Error(read.error);
  return read.value;
}
