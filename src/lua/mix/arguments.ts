import type { LuaState } from "../state.ts";

/** The bytes of a string (or number) argument; anything else is the caller's mistake and raises a Lua error. */
export function bytesArgument(L: LuaState, arg: number): Uint8Array {
  return L.toBytes(arg) ?? L.argError(arg, `string expected, got ${typeName(L, arg)}`);
}

/** Like `bytesArgument`, read as UTF-8. */
export function textArgument(L: LuaState, arg: number): string {
  return L.toText(arg) ?? L.argError(arg, `string expected, got ${typeName(L, arg)}`);
}

export function numberArgument(L: LuaState, arg: number): number {
  return L.toNumber(arg) ?? L.argError(arg, `number expected, got ${typeName(L, arg)}`);
}

export function tableArgument(L: LuaState, arg: number): void {
  if (L.type(arg) !== "table") L.argError(arg, `table expected, got ${typeName(L, arg)}`);
}

/** Ends a host function with `nil, message`. */
export function failure(L: LuaState, message: string): number {
  L.pushNil();
  L.pushText(message);
  return 2;
}

function typeName(L: LuaState, arg: number): string {
  const type = L.type(arg);
  return type === "none" ? "no value" : type;
}
