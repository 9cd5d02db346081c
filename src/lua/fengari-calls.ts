import { defs, lapi, lauxlib, ldebug, lstate } from "./fengari-modules.ts";
import { at, push } from "./fengari-stack.ts";
import { addTraceback } from "./fengari-traceback.ts";
import type { Frame, State } from "./fengari-types.ts";
import type { LuaState } from "./state.ts";

const { LUA_TLCF } = defs.constant_types;
const { LUA_OK, LUA_YIELD } = defs.thread_status;

function finishProtected(L: State, status: number, continuation: (L: LuaState, failed: boolean) => number): number {
  return continuation(L, status !== LUA_OK && status !== LUA_YIELD);
}

type Methods =
  | "call"
  | "protectedCall"
  | "protectedCallK"
  | "error"
  | "raise"
  | "abort"
  | "argError"
  | "setCountHook"
  | "charge";

export const callMethods: Pick<LuaState, Methods> & ThisType<State> = {
  call(args, results) {
    lapi.lua_call(this, args, results);
  },

  protectedCall(args, results, traceback = false) {
    if (!traceback) return lapi.lua_pcall(this, args, results, 0) === LUA_OK ? "ok" : "error";
    const handler = this.getTop() - args;
    push(this, LUA_TLCF, addTraceback);
    this.insert(handler);
    const status: number = lapi.lua_pcall(this, args, results, handler);
    this.remove(handler);
    return status === LUA_OK ? "ok" : "error";
  },

  protectedCallK(args, handler, continuation) {
    return finishProtected(
      this,
      lapi.lua_pcallk(this, args, defs.LUA_MULTRET, handler, continuation, finishProtected),
      continuation,
    );
  },

  error(message) {
    this.pushText(this.where(1) + message);
    return lapi.lua_error(this) as never;
  },

  raise() {
    // An error raised by the hook itself runs its message handler, which may need to be stopped as well.
    this.allowhook = 1;
    return lapi.lua_error(this) as never;
  },

  abort() {
    // Going back to each of them takes time in proportion to the depth of the stack: hours, when a recursion is all of pcalls.
    for (let ci: Frame | null = this.ci; ci !== null; ci = ci.previous) ci.callstatus &= ~lstate.CIST_YPCALL;
    // A message handler of the script's own would only run on.
    if (this.errfunc !== 0 && this.stack[this.errfunc]!.value !== addTraceback) this.errfunc = 0;
    return this.raise();
  },

  argError(arg, message) {
    return lauxlib.luaL_argerror(this, arg, defs.to_luastring(message)) as never;
  },

  setCountHook(hook, count) {
    ldebug.lua_sethook(this, hook, defs.LUA_MASKCOUNT, count);
  },

  charge(instructions) {
    this.hookcount -= instructions;
    if (this.hookcount > 0 || this.hook === null) return;
    this.hookcount = this.basehookcount;
    this.hook(this);
  },
};

/** Turns what a host function threw in JavaScript into a Lua error; its argument is the thrown value. */
export function nativeError(L: State): number {
  const thrown: unknown = at(L, 1).value;
  const where = L.where(1) || L.where(2);
  if (thrown instanceof RangeError && thrown.message.includes("call stack")) L.pushText(`${where}stack overflow`);
  else L.pushText(where + (thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)));
  return 1;
}
