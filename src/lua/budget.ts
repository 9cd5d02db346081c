import type { LuaState } from "./state.ts";

/** Instructions between two looks: about a tenth of a millisecond of Lua. */
const HOOK_INSTRUCTIONS = 1000;

/** Bytes allocated between two looks at what of them is still in use, and how many may be. */
const ALLOCATION_STEP = 32 * 1024 * 1024;
const MAX_KEPT = 48 * 1024 * 1024;

/**
 * What one piece of Lua may use before it returns or waits: time, and memory that it keeps. The VM calls back every thousand
 * instructions; once something is used up every such call raises an error, and `pcall` and its like pass it on (see
 * protected-calls.ts), so a script cannot swallow it.
 */
export class Budget {
  exceeded = false;
  #started = 0;
  #depth = 0;
  #allocated = 0;
  /** What was in use at the first look in this run. */
  #inUse: number | undefined = undefined;
  #reason = "";
  readonly #limit: () => number;

  /** `limit` is in milliseconds. */
  constructor(L: LuaState, limit: () => number) {
    this.#limit = limit;
    L.setCountHook((state) => this.check(state), HOOK_INSTRUCTIONS);
  }

  /** Nested runs (a `protocol_encode` inside a callback) share what the outermost may use. `now` is of `performance.now()`. */
  enter(L: LuaState, now: number): void {
    if (this.#depth++ > 0) return;
    this.#started = now;
    this.#allocated = L.allocated();
    this.#inUse = undefined;
    this.exceeded = false;
  }

  leave(): void {
    this.#depth--;
  }

  /** Raises when the budget is spent; also for host functions that take long. */
  check(L: LuaState): void {
    this.exceeded ||= this.#tookTooLong() || this.#keepsTooMuch(L);
    if (!this.exceeded) return;
    L.pushText(`${L.where(0) || L.where(1)}stopped: ${this.#reason}`);
    L.abort();
  }

  #tookTooLong(): boolean {
    if (performance.now() - this.#started <= this.#limit()) return false;
    this.#reason = `it ran longer than ${this.#limit()} ms without waiting (luavm.maxExecTime)`;
    return true;
  }

  /** Most of what is allocated is garbage soon, so only a collection tells; it is made once for every 32 MiB. */
  #keepsTooMuch(L: LuaState): boolean {
    if (L.allocated() - this.#allocated < ALLOCATION_STEP) return false;
    const inUse = L.collect();
    this.#allocated = L.allocated();
    this.#inUse ??= inUse;
    if (inUse - this.#inUse <= MAX_KEPT) return false;
    this.#reason = `it filled more than ${(inUse - this.#inUse) >> 20} MiB of memory in one run`;
    return true;
  }
}
