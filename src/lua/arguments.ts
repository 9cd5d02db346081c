import type { LuaState } from "./state.ts";

/** The bytes of a string (or number) argument; anything else is the caller's mistake and raises a Lua error. */
export function bytesArgument(L: LuaState, arg: number): Uint8Array {
  return L.toBytes(arg) ?? L.argError(arg, `string expected, got ${typeName(L, arg)}`);
}

/** Like `bytesArgument`, read as UTF-8. */
export function textArgument(L: LuaState, arg: number): string {
  return L.toText(arg) ?? L.argError(arg, `string expected, got ${typeName(L, arg)}`);
}

/**
 * The name of a channel, a topic or a context key. One that is not UTF-8 is an error to be returned: read as text, different
 * names would become the same.
 */
export function nameArgument(L: LuaState, arg: number): string | { error: string } {
  const name = L.toStrictText(arg);
  if (name !== undefined) return name;
  return { error: `the name ${JSON.stringify(textArgument(L, arg))} is not UTF-8` };
}

export function numberArgument(L: LuaState, arg: number): number {
  return L.toNumber(arg) ?? L.argError(arg, `number expected, got ${typeName(L, arg)}`);
}

/** A whole number; `missing` is what stands for one that is not given. */
export function integerArgument(L: LuaState, arg: number, missing?: number): number {
  if (missing !== undefined && isAbsent(L, arg)) return missing;
  const number = numberArgument(L, arg);
  return Number.isInteger(number) ? number : L.argError(arg, `number ${number} has no integer representation`);
}

export function tableArgument(L: LuaState, arg: number): void {
  if (L.type(arg) !== "table") L.argError(arg, `table expected, got ${typeName(L, arg)}`);
}

export function functionArgument(L: LuaState, arg: number): void {
  if (L.type(arg) !== "function") L.argError(arg, `function expected, got ${typeName(L, arg)}`);
}

/** Any value, nil too, as long as one is given. */
export function anyArgument(L: LuaState, arg: number): void {
  if (L.type(arg) === "none") L.argError(arg, "value expected, got no value");
}

/** Not given, or nil. */
export function isAbsent(L: LuaState, arg: number): boolean {
  const type = L.type(arg);
  return type === "none" || type === "nil";
}

/** What errors call the type of an argument. */
export function typeName(L: LuaState, arg: number): string {
  const type = L.type(arg);
  return type === "none" ? "no value" : type;
}

/** What errors call an argument whose type is right and whose value is not: a string in quotes, a number, or the type. */
export function shownArgument(L: LuaState, arg: number): string {
  return L.type(arg) === "string" ? JSON.stringify(L.toText(arg)) : (L.toText(arg) ?? typeName(L, arg));
}

/** Ends a host function with `nil, message`. */
export function failure(L: LuaState, message: string): number {
  L.pushNil();
  L.pushText(message);
  return 2;
}
