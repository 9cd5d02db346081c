import { beginCall, clearSlots, closeUpvalues, endCall, setTop } from "./fengari-frames.ts";
import type { Frame, Thread } from "./fengari-types.ts";

/** Protected calls, and starting, resuming and unwinding of Lua threads, in the place of fengari's. */

const { constant_types, thread_status, LUA_MULTRET } = require("fengari/src/defs.js");
const ldo = require("fengari/src/ldo.js");
const { LUAI_MAXCCALLS } = require("fengari/src/llimits.js");
const { TValue } = require("fengari/src/lobject.js");
const { CIST_LUA, CIST_YPCALL, EXTRA_STACK } = require("fengari/src/lstate.js");
const { luaS_newliteral } = require("fengari/src/lstring.js");
const { LUAI_MAXSTACK } = require("fengari/src/luaconf.js");
const lvm = require("fengari/src/lvm.js");

const { LUA_TLNGSTR } = constant_types;
const { LUA_OK, LUA_YIELD, LUA_ERRRUN, LUA_ERRERR } = thread_status;

/** Slots of a stack that an error leaves as they are. */
const USUAL_STACK = 1000;

/** Runs `f(L, argument)`; after an error the error is in `slot`, and the stack ends there. */
function protect<T>(
  L: Thread,
  f: (L: Thread, argument: T) => void,
  argument: T,
  slot: number,
  handler: number,
): number {
  const { ci, allowhook, nny, errfunc } = L;
  L.errfunc = handler;
  const status: number = ldo.luaD_rawrunprotected(L, f, argument);
  if (status !== LUA_OK) {
    closeUpvalues(L, slot);
    putError(L, status, slot);
    L.ci = ci;
    L.allowhook = allowhook;
    L.nny = nny;
    if (L.stack.length > USUAL_STACK) shrinkStack(L);
  }
  L.errfunc = errfunc;
  return status;
}

/** Starts or goes on with a thread; `args` values are on its stack. Answers its status. */
function resume(L: Thread, from: Thread | null, args: number): number {
  if (L.status !== LUA_YIELD) {
    if (L.status !== LUA_OK) return refuse(L, "cannot resume dead coroutine", args);
    if (L.ci !== L.base_ci) return refuse(L, "cannot resume non-suspended coroutine", args);
  }
  L.nCcalls = from === null ? 1 : from.nCcalls + 1;
  if (L.nCcalls >= LUAI_MAXCCALLS) return refuse(L, "JS stack overflow", args);
  const notYieldable = L.nny;
  L.nny = 0;
  let status: number = ldo.luaD_rawrunprotected(L, L.status === LUA_OK ? start : proceed, args);
  // What JavaScript threw, and no handler made a Lua error of.
  if (status === -1) status = LUA_ERRRUN;
  else while (status > LUA_YIELD && recover(L, status)) status = ldo.luaD_rawrunprotected(L, unrollFailed, status);
  if (status > LUA_YIELD) {
    L.status = status;
    putError(L, status, L.top);
    L.ci.top = L.top;
  }
  L.nny = notYieldable;
  L.nCcalls--;
  return status;
}

/** An error of the resumption itself, which does the thread no harm. */
function refuse(L: Thread, message: string, args: number): number {
  setTop(L, L.top - args);
  L.stack[L.top++] = new TValue(LUA_TLNGSTR, luaS_newliteral(L, message));
  return LUA_ERRRUN;
}

function start(L: Thread, args: number): void {
  if (!beginCall(L, L.top - args - 1, LUA_MULTRET)) lvm.luaV_execute(L);
}

/** Goes on after a yield, which only host functions make. */
function proceed(L: Thread, args: number): void {
  const frame = L.ci;
  L.status = LUA_OK;
  frame.funcOff = frame.extra;
  frame.func = L.stack[frame.funcOff]!;
  const continuation = frame.c_k;
  const results = continuation === null ? args : continuation(L, LUA_YIELD, frame.c_ctx);
  endCall(L, frame, L.top - results, results);
  unroll(L);
}

/** Ends the calls that a yield has interrupted, from the innermost to the outermost. */
function unroll(L: Thread): void {
  while (L.ci !== L.base_ci) {
    if (L.ci.callstatus & CIST_LUA) {
      lvm.luaV_finishOp(L);
      lvm.luaV_execute(L);
    } else finishHostCall(L, LUA_YIELD);
  }
}

function unrollFailed(L: Thread, status: number): void {
  finishHostCall(L, status);
  unroll(L);
}

/** Ends the call of a host function by its continuation. */
function finishHostCall(L: Thread, status: number): void {
  const frame = L.ci;
  if (frame.callstatus & CIST_YPCALL) {
    frame.callstatus &= ~CIST_YPCALL;
    L.errfunc = frame.c_old_errfunc;
  }
  if (frame.nresults === LUA_MULTRET && frame.top < L.top) frame.top = L.top;
  const continuation = frame.c_k!;
  const results = continuation(L, status, frame.c_ctx);
  endCall(L, frame, L.top - results, results);
}

/** Goes back to the innermost protected call that may yield; false when there is none. */
function recover(L: Thread, status: number): boolean {
  let frame: Frame | null = L.ci;
  while (frame !== null && !(frame.callstatus & CIST_YPCALL)) frame = frame.previous;
  if (frame === null) return false;
  closeUpvalues(L, frame.extra);
  putError(L, status, frame.extra);
  L.ci = frame;
  L.allowhook = 1;
  L.nny = 0;
  L.errfunc = frame.c_old_errfunc;
  if (L.stack.length > USUAL_STACK) shrinkStack(L);
  return true;
}

/** Puts the error that is on top, or what stands for it, into `slot`, and empties the stack above. */
function putError(L: Thread, status: number, slot: number): void {
  const { stack } = L;
  const error =
    status === LUA_ERRERR
      ? new TValue(LUA_TLNGSTR, luaS_newliteral(L, "error in error handling"))
      : new TValue(stack[L.top - 1]!.type, stack[L.top - 1]!.value);
  clearSlots(stack, slot, Math.max(L.top, L.ci.top));
  stack[slot] = error;
  L.top = slot + 1;
}

/** After a stack overflow the stack is larger than it may be, to have room for the error. */
function shrinkStack(L: Thread): void {
  let used = L.top;
  for (let frame: Frame | null = L.ci; frame !== null; frame = frame.previous) used = Math.max(used, frame.top);
  if (L.stack.length > LUAI_MAXSTACK) L.ci.next = null;
  const size = Math.min(LUAI_MAXSTACK, used + (used >> 3) + 2 * EXTRA_STACK);
  if (used < LUAI_MAXSTACK - EXTRA_STACK && size < L.stack.length) ldo.luaD_reallocstack(L, size);
}

ldo.luaD_pcall = protect;
ldo.lua_resume = resume;
