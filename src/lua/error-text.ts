import type { LuaState } from "./state.ts";
import { readJson } from "./values.ts";

/** The message of the error on top: its `__tostring`, where it has one, or what it is. Never raises. */
export function errorText(L: LuaState): string {
  const text = L.toText(-1);
  if (text !== undefined) return text;
  const type = L.type(-1);
  L.pushFunction(describe);
  L.pushValue(-2);
  const status = L.protectedCall(1, 1);
  const described = L.toText(-1)!;
  L.pop();
  return status === "ok" ? described : `(error object is a ${type} value, and to describe it failed: ${described})`;
}

function describe(L: LuaState): number {
  if (L.getMetatable(1)) {
    if (L.rawGetField(-1, "__tostring") !== "nil") {
      L.pushValue(1);
      L.call(1, 1);
      return L.toText(-1) === undefined ? L.error(`'__tostring' answered a ${L.type(-1)}, expected a string`) : 1;
    }
    L.pop(2);
  }
  const type = L.type(1);
  const read = type === "table" || type === "boolean" ? readJson(L, 1) : undefined;
  const shown = read !== undefined && "value" in read ? `: ${JSON.stringify(read.value)}` : "";
  L.pushText(`(error object is a ${type} value${shown})`);
  return 1;
}
