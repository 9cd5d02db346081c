import type { LuaState } from "./state.ts";

/** Instructions between two looks at the clock: about a tenth of a millisecond of Lua. */
const HOOK_INSTRUCTIONS = 1000;

/**
 * The time one piece of Lua may run before it returns or waits. The VM calls back every thousand instructions; once the time
 * is up every such call raises an error, and `pcall` and its like pass it on (see protected-calls.ts), so a script cannot
 * swallow it.
 */
export class Budget {
  exceeded = false;
  #started = 0;
  #depth = 0;

  /** `limit` is in milliseconds. */
  constructor(
    L: LuaState,
    private readonly limit: () => number,
  ) {
    L.setCountHook((state) => this.#check(state), HOOK_INSTRUCTIONS);
  }

  /** Nested runs (a `protocol_encode` inside a callback) share the time of the outermost. `now` is of `performance.now()`. */
  enter(now: number): void {
    if (this.#depth++ > 0) return;
    this.#started = now;
    this.exceeded = false;
  }

  leave(): void {
    this.#depth--;
  }

  #check(L: LuaState): void {
    if (!this.exceeded) {
      if (performance.now() - this.#started <= this.limit()) return;
      this.exceeded = true;
    }
    L.pushText(`${L.where(0)}stopped: it ran longer than ${this.limit()} ms without waiting (luavm.maxExecTime)`);
    L.raise();
  }
}
