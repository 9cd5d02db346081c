import { anyArgument, functionArgument } from "./arguments.ts";
import type { Budget } from "./budget.ts";
import type { LuaState } from "./state.ts";

/** `pcall` and `xpcall` that catch every error but the one of a spent budget, which ends the callback whatever it tries. */
export function installProtectedCalls(L: LuaState, budget: Budget): void {
  L.pushFunction((state) => {
    anyArgument(state, 1);
    return state.protectedCallK(state.getTop() - 1, 0, finishPcall);
  });
  L.setGlobal("pcall");
  L.pushFunction((state) => {
    functionArgument(state, 2);
    // f, handler, … becomes handler, f, …
    state.pushValue(2);
    state.remove(2);
    state.insert(1);
    return state.protectedCallK(state.getTop() - 2, 1, finishXpcall);
  });
  L.setGlobal("xpcall");

  function finishPcall(state: LuaState, failed: boolean): number {
    if (failed && budget.exceeded) budget.check(state);
    state.pushBoolean(!failed);
    state.insert(1);
    return state.getTop();
  }

  function finishXpcall(state: LuaState, failed: boolean): number {
    if (failed && budget.exceeded) budget.check(state);
    state.pushBoolean(!failed);
    state.replace(1);
    return state.getTop();
  }
}
