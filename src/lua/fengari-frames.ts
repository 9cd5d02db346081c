import "./fengari-base.ts";
import "./fengari-numbers.ts";
import type { Frame, LuaClosure, Thread, Value } from "./fengari-types.ts";

/**
 * Calls in the place of fengari's, which make an object for each call and each slot of the stack and delete them again. Here both
 * stay for the next call: a slot that is not in use any more is set to nil, so that a thread at rest holds on to nothing.
 */

const { constant_types, thread_status, LUA_MULTRET, LUA_MINSTACK } = require("fengari/src/defs.js");
const ldebug = require("fengari/src/ldebug.js");
const ldo = require("fengari/src/ldo.js");
const lfunc = require("fengari/src/lfunc.js");
const { LUAI_MAXCCALLS } = require("fengari/src/llimits.js");
const { TValue } = require("fengari/src/lobject.js");
const lstate = require("fengari/src/lstate.js");
const ltm = require("fengari/src/ltm.js");
const lvm = require("fengari/src/lvm.js");

const { LUA_TNIL, LUA_TLCL, LUA_TLCF, LUA_TCCL } = constant_types;
const { LUA_ERRERR } = thread_status;
const { CIST_LUA, CIST_TAIL, CallInfo } = lstate;

const CALL = new TextEncoder().encode("call");
const OVERFLOW = new TextEncoder().encode("JS stack overflow");

/** Slots, and the calls in them, that are kept. Only deep recursions use more. */
const KEPT = 1000;

/** Raises the top; the new slots keep what they have, if they have something. */
export function raiseTop(L: Thread, top: number): void {
  const { stack } = L;
  for (let i = L.top; i < top; i++) if (stack[i] === undefined) stack[i] = new TValue(LUA_TNIL, null);
  L.top = top;
}

/** Empties the slots from `from` to before `to`. */
export function clearSlots(stack: Value[], from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const value = stack[i];
    if (value === undefined) continue;
    value.type = LUA_TNIL;
    value.value = null;
  }
  if (to > KEPT) for (let i = Math.max(from, KEPT); i < to; i++) (stack as unknown[])[i] = undefined;
}

/** Cuts the stack, or fills it with nil. */
export function setTop(L: Thread, top: number): void {
  const { stack } = L;
  if (top < L.top) clearSlots(stack, top, L.top);
  else {
    for (let i = L.top; i < top; i++) {
      if (stack[i] === undefined) stack[i] = new TValue(LUA_TNIL, null);
      else stack[i]!.setnilvalue();
    }
  }
  L.top = top;
}

/** Gives the slots from `level` on new values; closures keep the ones they have captured. */
export function closeUpvalues(L: Thread, level: number): void {
  const { stack } = L;
  for (let i = level; i < L.top; i++) {
    const value = stack[i];
    if (value !== undefined) stack[i] = new TValue(value.type, value.value);
  }
}

function pushFrame(L: Thread): Frame {
  const { ci } = L;
  let frame = ci.next;
  if (frame === null) {
    frame = new CallInfo() as Frame;
    frame.previous = ci;
    frame.extra = 0;
    ci.next = frame;
  }
  L.ci = frame;
  return frame;
}

/**
 * Begins a call of the function in slot `at`, with what is above it for arguments. A host function has returned when this
 * does, which it answers with true; a Lua function is left to `luaV_execute`.
 */
export function beginCall(L: Thread, at: number, results: number): boolean {
  const func = L.stack[at]!;
  if (func.type === LUA_TLCL) {
    if (L.stack_last - L.top <= func.value.p.maxstacksize) ldo.luaD_growstack(L, func.value.p.maxstacksize);
    const frame = pushFrame(L);
    frame.nresults = results;
    frame.callstatus = CIST_LUA;
    enter(L, frame, at, func);
    return false;
  }
  if (func.type === LUA_TLCF) callHost(L, at, func, func.value, results);
  else if (func.type === LUA_TCCL) callHost(L, at, func, func.value.f, results);
  else {
    insertCallHandler(L, at, func);
    return beginCall(L, at, results);
  }
  return true;
}

function callHost(L: Thread, at: number, func: Value, f: (L: Thread) => number, results: number): void {
  if (L.stack_last - L.top <= LUA_MINSTACK) ldo.luaD_growstack(L, LUA_MINSTACK);
  const frame = pushFrame(L);
  frame.funcOff = at;
  frame.func = func;
  frame.nresults = results;
  frame.top = L.top + LUA_MINSTACK;
  frame.callstatus = 0;
  frame.c_k = null;
  const count = f(L);
  endCall(L, frame, L.top - count, count);
}

/** Makes `frame` that of the Lua function in slot `at`, about to run its first instruction. */
function enter(L: Thread, frame: Frame, at: number, func: Value): void {
  const { p } = func.value as LuaClosure;
  const { numparams } = p;
  const count = L.top - at - 1;
  let base = at + 1;
  if (p.is_vararg) base = moveParameters(L, base, count, numparams);
  else if (count < numparams) setTop(L, base + numparams);
  frame.funcOff = at;
  frame.func = func;
  frame.l_base = base;
  frame.top = base + p.maxstacksize;
  frame.l_code = p.code;
  frame.l_savedpc = 0;
  raiseTop(L, frame.top);
}

/** Moves the parameters of a function that takes any number of arguments above them; answers where they are. */
function moveParameters(L: Thread, first: number, count: number, wanted: number): number {
  const { stack } = L;
  const base = L.top;
  setTop(L, base + wanted);
  for (let i = 0; i < wanted && i < count; i++) {
    stack[base + i]!.setfrom(stack[first + i]!);
    stack[first + i]!.setnilvalue();
  }
  return base;
}

/** `beginCall` for a call whose results the caller returns: a Lua function takes the place of the caller, `frame`. */
export function beginTailCall(L: Thread, frame: Frame, at: number): boolean {
  const { stack } = L;
  const func = stack[at]!;
  if (func.type === LUA_TLCF || func.type === LUA_TCCL) return beginCall(L, at, LUA_MULTRET);
  if (func.type !== LUA_TLCL) {
    insertCallHandler(L, at, func);
    return beginTailCall(L, frame, at);
  }
  const { p } = func.value as LuaClosure;
  if (L.stack_last - L.top <= p.maxstacksize) ldo.luaD_growstack(L, p.maxstacksize);
  if ((frame.func.value as LuaClosure).p.p.length > 0) closeUpvalues(L, frame.l_base);
  const count = L.top - at;
  const target = frame.funcOff;
  for (let i = 0; i < count; i++) stack[target + i]!.setfrom(stack[at + i]!);
  clearSlots(stack, target + count, Math.max(L.top, frame.top));
  L.top = target + count;
  frame.callstatus |= CIST_TAIL;
  enter(L, frame, target, stack[target]!);
  return false;
}

/** Ends a call: moves `count` results, from slot `first` on, to where the caller expects them, and empties what is above. */
export function endCall(L: Thread, frame: Frame, first: number, count: number): void {
  const { stack } = L;
  const target = frame.funcOff;
  const wanted = frame.nresults;
  let end = L.top;
  if (frame.callstatus & CIST_LUA) {
    if (frame.top > end) end = frame.top;
  } else frame.c_k = null;
  L.ci = frame.previous!;
  if (target > KEPT) L.ci.next = null;

  const moved = wanted === LUA_MULTRET || wanted > count ? count : wanted;
  for (let i = 0; i < moved; i++) {
    const from = stack[first + i]!;
    const to = stack[target + i]!;
    to.type = from.type;
    to.value = from.value;
  }
  let top = target + moved;
  if (wanted > count) {
    L.top = top;
    top = target + wanted;
    setTop(L, top);
  }
  clearSlots(stack, top, end);
  L.top = top;
}

function insertCallHandler(L: Thread, at: number, func: Value): void {
  const handler: Value = ltm.luaT_gettmbyobj(L, func, ltm.TMS.TM_CALL);
  if (!handler.ttisfunction()) ldebug.luaG_typeerror(L, func, CALL);
  if (L.stack_last - L.top <= 1) ldo.luaD_growstack(L, 1);
  const { stack } = L;
  raiseTop(L, L.top + 1);
  for (let i = L.top - 1; i > at; i--) stack[i]!.setfrom(stack[i - 1]!);
  stack[at]!.setfrom(handler);
}

/** Calls the function in slot `at`; its results take the place of it and its arguments. */
export function call(L: Thread, at: number, results: number): void {
  if (++L.nCcalls >= LUAI_MAXCCALLS) tooManyCalls(L);
  if (!beginCall(L, at, results)) lvm.luaV_execute(L);
  L.nCcalls--;
}

function tooManyCalls(L: Thread): void {
  if (L.nCcalls === LUAI_MAXCCALLS) ldebug.luaG_runerror(L, OVERFLOW);
  // The error is being handled already.
  else if (L.nCcalls >= LUAI_MAXCCALLS + (LUAI_MAXCCALLS >> 3)) ldo.luaD_throw(L, LUA_ERRERR);
}

ldo.adjust_top = setTop;
ldo.luaD_call = call;
ldo.luaD_callnoyield = (L: Thread, at: number, results: number) => {
  L.nny++;
  call(L, at, results);
  L.nny--;
};
ldo.luaD_precall = beginCall;
lstate.luaE_extendCI = pushFrame;
lfunc.luaF_close = closeUpvalues;
