import { failure, typeName } from "./arguments.ts";
import type { LuaState } from "./state.ts";

/**
 * `load(chunk [, name [, mode [, env]]])` and Lua 5.1's `loadstring(s [, name])`. Source only: byte code is refused whatever
 * `mode` says, because it could break the VM.
 */
export function installLoad(L: LuaState): void {
  L.pushFunction(load);
  L.setGlobal("load");
  L.pushFunction(load);
  L.setGlobal("loadstring");
}

function load(L: LuaState): number {
  const chunk = L.type(1) === "function" ? readAll(L) : L.toBytes(1);
  if (chunk === undefined) L.argError(1, `string or function expected, got ${typeName(L, 1)}`);
  const mode = L.toText(3) ?? "t";
  // Looked at before the loaded function is on the stack, in that very place when three arguments were given.
  const hasEnvironment = L.getTop() >= 4;
  if (!mode.includes("t")) return failure(L, "only source can be loaded, not byte code");
  if (L.load(chunk, chunkName(L.toText(2), chunk)) === "error") {
    L.pushNil();
    L.insert(-2);
    return 2;
  }
  if (hasEnvironment) {
    L.pushValue(4);
    L.setUpvalue(-2, 1);
  }
  return 1;
}

/** Calls the reader function until it returns nil or an empty string. */
function readAll(L: LuaState): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (;;) {
    L.pushValue(1);
    L.call(0, 1);
    const piece = L.toBytes(-1);
    if (piece === undefined && L.type(-1) !== "nil") L.error("reader function must return a string");
    L.pop();
    if (piece === undefined || piece.length === 0) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

/** What errors show: a file name after "@", any name after "=", otherwise the beginning of the source. */
function chunkName(name: string | undefined, chunk: Uint8Array): string {
  if (name?.startsWith("@") || name?.startsWith("=")) return name.slice(1);
  const [line = "", ...more] = (name ?? Buffer.from(chunk.subarray(0, 200)).toString()).split("\n");
  return `[string "${more.length > 0 || line.length > 60 ? `${line.slice(0, 60)}...` : line}"]`;
}
