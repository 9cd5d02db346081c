import type { LuaState } from "./state.ts";

/** What of fengari's own objects the files behind the VM seam touch. fengari itself has no types. */

// biome-ignore lint/suspicious/noExplicitAny: fengari has no types, and a value's depends on its tag.
export type Untyped = any;

/** A tagged value. An upvalue is the very object of the stack slot it was captured in. */
export interface Value {
  type: number;
  value: Untyped;
  setfrom(other: Value): void;
  setnilvalue(): void;
  l_isfalse(): boolean;
  ttisnil(): boolean;
  ttisfunction(): boolean;
  ttisnumber(): boolean;
}

export interface Instruction {
  readonly opcode: number;
  readonly A: number;
  readonly B: number;
  readonly C: number;
  readonly Bx: number;
  readonly Ax: number;
  readonly sBx: number;
  /** Where in its table the entry with this instruction's constant key was last time. */
  at: number;
}

export interface Proto {
  k: Value[];
  p: Proto[];
  code: Instruction[];
  lineinfo: number[];
  upvalues: { instack: boolean; idx: number; name: Untyped }[];
  cache: LuaClosure | null;
  numparams: number;
  maxstacksize: number;
  is_vararg: boolean;
}

export interface LuaClosure {
  p: Proto;
  nupvalues: number;
  upvals: Value[];
}

/** A call that is running ("CallInfo"). */
export interface Frame {
  func: Value;
  /** The stack slot of the function. */
  funcOff: number;
  /** The end of the slots it may use. */
  top: number;
  previous: Frame | null;
  next: Frame | null;
  /** Of Lua functions: the slot of the first register, the code, and the next instruction. */
  l_base: number;
  l_code: Instruction[];
  l_savedpc: number;
  /** Of host functions: what continues it after a yield. */
  c_k: ((L: Thread, status: number, context: unknown) => number) | null;
  c_ctx: unknown;
  c_old_errfunc: number;
  extra: number;
  nresults: number;
  callstatus: number;
}

/** A Lua thread ("lua_State"). Slots from `top` on are empty: `undefined`, or a nil nobody else refers to. */
export interface Thread {
  top: number;
  stack: Value[];
  stack_last: number;
  ci: Frame;
  base_ci: Frame;
  status: number;
  errfunc: number;
  errorJmp: unknown;
  allowhook: number;
  hookcount: number;
  basehookcount: number;
  hook: ((L: State) => void) | null;
  nCcalls: number;
  nny: number;
  l_G: Untyped;
}

/** A thread with the methods of the seam on it. */
export type State = Thread & LuaState;
