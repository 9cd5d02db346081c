import type { Budget } from "./budget.ts";
import type { LuaState } from "./state.ts";
import { blockWaits, currentCallback, unblockWaits } from "./wait.ts";

/** What `resume` or a wrapped function does with the `count` values on top: results, or the one error. */
type Finish = (L: LuaState, failed: boolean, count: number) => number;

/**
 * `coroutine.resume`, `wrap` and `status` for scripts whose functions may wait. A wait inside a script's own coroutine
 * suspends the whole callback: it passes out through every `resume` in between, and its end comes back in the same way.
 */
export function installCoroutines(L: LuaState, budget: Budget): void {
  L.getGlobal("coroutine");
  L.pushFunction((state) => {
    const co = state.toThread(1) ?? state.argError(1, `coroutine expected, got ${state.type(1)}`);
    return resume(state, co, state.getTop() - 1, finishResume);
  });
  L.setField(-2, "resume");
  L.pushFunction((state) => {
    if (state.type(1) !== "function") state.argError(1, `function expected, got ${state.type(1)}`);
    const co = state.newThread();
    state.setTop(1);
    state.moveTo(co, 1);
    state.pushThread(co);
    state.pushFunction(resumeWrapped, 1);
    return 1;
  });
  L.setField(-2, "wrap");
  L.pushFunction((state) => {
    const co = state.toThread(1) ?? state.argError(1, `coroutine expected, got ${state.type(1)}`);
    state.pushKey(statusOf(state, co));
    return 1;
  });
  L.setField(-2, "status");
  L.pop();

  function finishResume(state: LuaState, failed: boolean, count: number): number {
    if (failed && budget.exceeded) budget.check(state);
    state.pushBoolean(!failed);
    state.insert(-count - 1);
    return count + 1;
  }
}

/** Threads that a wait has suspended; the end of the wait resumes them, a script cannot. */
const waiting = new WeakSet<LuaState>();

function resumeWrapped(L: LuaState): number {
  return resume(L, L.toThread(L.upvalue(1))!, L.getTop(), finishWrapped);
}

function finishWrapped(L: LuaState, failed: boolean, count: number): number {
  return failed ? L.raise() : count;
}

function statusOf(L: LuaState, co: LuaState): string {
  if (co === L) return "running";
  const status = co.threadStatus();
  return status === "running" || waiting.has(co) ? "normal" : status;
}

function resume(L: LuaState, co: LuaState, args: number, finish: Finish): number {
  const status = statusOf(L, co);
  if (status !== "suspended") {
    L.pushText(`cannot resume ${status === "dead" ? "dead" : "non-suspended"} coroutine`);
    return finish(L, true, 1);
  }
  L.moveTo(co, args);
  return advance(L, co, args, finish);
}

function advance(L: LuaState, co: LuaState, args: number, finish: Finish): number {
  const blocked = !L.isYieldable();
  if (blocked) blockWaits();
  const status = co.resume(args, L);
  if (blocked) unblockWaits();
  if (status === "yield" && currentCallback()?.wait !== undefined) {
    waiting.add(co);
    return L.yield(0, (resumed) => {
      waiting.delete(co);
      return advance(resumed, co, 0, finish);
    });
  }
  const count = status === "error" ? 1 : co.getTop();
  co.moveTo(L, count);
  return finish(L, status === "error", count);
}

/** Marks the coroutine a callback runs in, which a script may get hold of by `coroutine.running`. */
export function setWaiting(thread: LuaState, suspended: boolean): void {
  if (suspended) waiting.add(thread);
  else waiting.delete(thread);
}
