import { defs, ldo, lstate } from "./fengari-modules.ts";
import type { State } from "./fengari-types.ts";
import type { LuaState } from "./state.ts";

const { LUA_OK, LUA_YIELD } = defs.thread_status;

type Methods = "newThread" | "resume" | "yield" | "isYieldable" | "threadStatus";

export const coroutineMethods: Pick<LuaState, Methods> & ThisType<State> = {
  newThread() {
    const thread = lstate.lua_newthread(this);
    this.pop();
    return thread;
  },

  resume(args, from) {
    const status = ldo.lua_resume(this, from ?? null, args);
    return status === LUA_OK ? "ok" : status === LUA_YIELD ? "yield" : "error";
  },

  yield(results, continuation) {
    return ldo.lua_yieldk(this, results, 0, continuation);
  },

  isYieldable() {
    return ldo.lua_isyieldable(this);
  },

  threadStatus() {
    if (this.status === LUA_YIELD) return "suspended";
    if (this.status !== LUA_OK) return "dead";
    if (this.ci !== this.base_ci) return "running";
    return this.getTop() === 0 ? "dead" : "suspended";
  },
};
