import { heapSize } from "bun:jsc";
import { allocation } from "./allocation.ts";
import { callMethods, nativeError } from "./fengari-calls.ts";
import { coroutineMethods } from "./fengari-coroutines.ts";
import { fieldMethods } from "./fengari-fields.ts";
import { loadMethods } from "./fengari-load.ts";
import { lapi, lauxlib, lstate } from "./fengari-modules.ts";
import { stackMethods } from "./fengari-stack.ts";
import { tracebackMethods } from "./fengari-traceback.ts";
import { pushMethods, readMethods } from "./fengari-values.ts";
import type { LuaState } from "./state.ts";

/**
 * The methods of `LuaState` for fengari. They are put on fengari's own thread class, so a host function is called with the
 * very thread it runs in: no wrapper object a thread, no wrapper function a call.
 */
const methods: LuaState = {
  ...stackMethods,
  ...pushMethods,
  ...readMethods,
  ...fieldMethods,
  ...callMethods,
  ...tracebackMethods,
  ...loadMethods,
  ...coroutineMethods,

  allocated() {
    return allocation.bytes;
  },

  collect() {
    Bun.gc(true);
    return heapSize();
  },
};
Object.assign(lstate.lua_State.prototype, methods);

/** A new VM with no library open; the state is its main thread. */
export function createState(): LuaState {
  const L = lauxlib.luaL_newstate();
  lapi.lua_atnativeerror(L, nativeError);
  return L;
}
