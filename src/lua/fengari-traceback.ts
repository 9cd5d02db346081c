import { errorText } from "./error-text.ts";
import { defs, lapi, lauxlib } from "./fengari-modules.ts";
import type { Frame, State } from "./fengari-types.ts";
import type { LuaState } from "./state.ts";

/** More than a traceback shows of each end of the stack. */
const TRACEBACK_END = 16;

/**
 * Takes the middle out of a deep stack's list of calls, until `restore`: a traceback shows the ends only, but walks through the
 * whole list again and again, and a runaway recursion's has a hundred thousand calls.
 */
function skipMiddle({ ci, base_ci }: State): () => void {
  let first = ci;
  for (let i = 0; i < TRACEBACK_END && first !== base_ci; i++) first = first.previous!;
  let ahead: Frame | null = first;
  for (let i = 0; i < TRACEBACK_END && ahead !== base_ci; i++) ahead = ahead!.previous;
  if (ahead === base_ci) return () => {};
  const { previous } = first;
  let last = previous!;
  for (ahead = ahead!.previous; ahead !== base_ci; ahead = ahead!.previous) last = last.previous!;
  first.previous = last;
  return () => {
    first.previous = previous;
  };
}

/** The message handler of protected calls that want a traceback. */
export function addTraceback(L: LuaState): number {
  L.pushText(L.traceback(errorText(L)));
  return 1;
}

export const tracebackMethods: Pick<LuaState, "where" | "traceback"> & ThisType<State> = {
  where(level) {
    // A host function may have used all slots of its call.
    lapi.lua_checkstack(this, 1);
    lauxlib.luaL_where(this, level);
    const where = this.toText(-1)!;
    this.pop();
    return where;
  },

  traceback(message) {
    this.checkStack(1);
    const restore = skipMiddle(this);
    lauxlib.luaL_traceback(this, this, defs.to_luastring(message), 0);
    restore();
    const text = this.toText(-1)!;
    this.pop();
    return text;
  },
};
