import type { HostFunction, LuaState } from "./state.ts";

/** Makes the metatable of a kind of userdata; returns its reference. Scripts can neither read nor change it. */
export function createMetatable(L: LuaState, kind: string, methods: Record<string, HostFunction>): number {
  L.newTable();
  L.newTable();
  for (const [name, fn] of Object.entries(methods)) {
    L.pushFunction(fn);
    L.setField(-2, name);
  }
  L.nameFunctions(kind);
  L.setField(-2, "__index");
  L.pushText(kind);
  L.setField(-2, "__name");
  L.pushBoolean(false);
  L.setField(-2, "__metatable");
  return L.ref();
}
