import { heapSize } from "bun:jsc";
import { allocation } from "./allocation.ts";
import {
  defs,
  lapi,
  lauxlib,
  ldebug,
  ldo,
  lobject,
  lopcodes,
  lstate,
  lstring,
  ltable,
  lualib,
  lvm,
} from "./fengari-modules.ts";
import { LuaString } from "./lua-string.ts";
import type { CallStatus, CountHook, GlobalUse, HostFunction, LibraryName, LuaState, LuaType } from "./state.ts";

// biome-ignore lint/suspicious/noExplicitAny: fengari has no types; this file is the only one that touches its values.
type Untyped = any;

const {
  LUA_TNIL,
  LUA_TBOOLEAN,
  LUA_TLIGHTUSERDATA,
  LUA_TNUMFLT,
  LUA_TLNGSTR,
  LUA_TTABLE,
  LUA_TLCF,
  LUA_TUSERDATA,
  LUA_TTHREAD,
} = defs.constant_types;
const { LUA_REGISTRYINDEX, LUA_MASKCOUNT, LUA_RIDX_GLOBALS } = defs;
const { LUA_OK, LUA_YIELD } = defs.thread_status;
const { TValue, luaO_nilobject, Udata } = lobject;

/** By type number, from LUA_TNONE (-1). */
const TYPE_NAMES: LuaType[] = [
  "none",
  "nil",
  "boolean",
  "userdata",
  "number",
  "string",
  "table",
  "function",
  "userdata",
  "thread",
];

/** Source, never byte code, which could break the VM. */
const TEXT_ONLY = defs.to_luastring("t");

/** Keys and constants, converted and hashed once for the process; a Lua string belongs to no VM. */
const keys = new Map<string, LuaString>();
function keyOf(key: string): LuaString {
  let string = keys.get(key);
  if (string === undefined) {
    string = new LuaString(undefined, key);
    keys.set(key, string);
  }
  return string;
}

/** Values kept for the host, by number, one list for each VM. */
class References {
  readonly values: Untyped[] = [undefined];
  readonly free: number[] = [];
}

/**
 * The methods of `LuaState` for fengari. They are put on fengari's own thread class, so a host function is called with the
 * very thread it runs in: no wrapper object a thread, no wrapper function a call.
 */
class FengariState implements LuaState {
  declare top: number;
  declare stack: Untyped[];
  declare ci: Untyped;
  declare base_ci: Untyped;
  declare status: number;
  declare errfunc: number;
  declare allowhook: number;
  declare l_G: Untyped;

  // ---- stack

  getTop(): number {
    return this.top - (this.ci.funcOff + 1);
  }

  setTop(index: number): void {
    lapi.lua_settop(this, index);
  }

  pop(count = 1): void {
    const { stack } = this;
    for (let i = 0; i < count; i++) stack[--this.top] = undefined;
  }

  absIndex(index: number): number {
    return lapi.lua_absindex(this, index);
  }

  pushValue(index: number): void {
    const value = at(this, index);
    push(this, value.type, value.value);
  }

  insert(index: number): void {
    lapi.lua_rotate(this, index, 1);
  }

  remove(index: number): void {
    lapi.lua_rotate(this, index, -1);
    this.pop();
  }

  replace(index: number): void {
    at(this, index).setfrom(this.stack[this.top - 1]);
    this.pop();
  }

  checkStack(count: number): void {
    if (!lapi.lua_checkstack(this, count)) this.error("stack overflow");
  }

  moveTo(other: LuaState, count: number): void {
    other.checkStack(count);
    lapi.lua_xmove(this, other, count);
  }

  // ---- push

  pushNil(): void {
    push(this, LUA_TNIL, null);
  }

  pushBoolean(value: boolean): void {
    push(this, LUA_TBOOLEAN, value);
  }

  pushNumber(value: number): void {
    push(this, LUA_TNUMFLT, value);
  }

  pushText(value: string): void {
    push(this, LUA_TLNGSTR, new LuaString(undefined, value.isWellFormed() ? value : value.toWellFormed()));
  }

  pushKey(key: string): void {
    push(this, LUA_TLNGSTR, keyOf(key));
  }

  pushBytes(bytes: Uint8Array): void {
    push(this, LUA_TLNGSTR, lstring.luaS_bless(this, bytes));
  }

  pushFunction(fn: HostFunction, upvalues = 0): void {
    if (upvalues === 0) push(this, LUA_TLCF, fn);
    else lapi.lua_pushcclosure(this, fn, upvalues);
  }

  pushUserdata(value: object): void {
    const userdata = new Udata(this, 0);
    userdata.data = value;
    userdata.uservalue = luaO_nilobject;
    push(this, LUA_TUSERDATA, userdata);
  }

  pushLightUserdata(value: object): void {
    push(this, LUA_TLIGHTUSERDATA, value);
  }

  newTable(): void {
    push(this, LUA_TTABLE, ltable.luaH_new(this));
  }

  pushGlobals(): void {
    const globals = ltable.luaH_getint(this.l_G.l_registry.value, LUA_RIDX_GLOBALS);
    push(this, globals.type, globals.value);
  }

  // ---- read

  type(index: number): LuaType {
    const value = at(this, index);
    return value === luaO_nilobject ? "none" : TYPE_NAMES[(value.type & 0x0f) + 1]!;
  }

  isInteger(index: number): boolean {
    return Number.isSafeInteger(at(this, index).value);
  }

  toBoolean(index: number): boolean {
    return !at(this, index).l_isfalse();
  }

  toNumber(index: number): number | undefined {
    const number: number | false = lvm.tonumber(at(this, index));
    return number === false ? undefined : number;
  }

  toBytes(index: number): Uint8Array | undefined {
    return stringAt(this, index)?.getstr();
  }

  toText(index: number): string | undefined {
    return stringAt(this, index)?.text;
  }

  toStrictText(index: number): string | undefined {
    return stringAt(this, index)?.strictText;
  }

  toUserdata(index: number): object | undefined {
    const value = at(this, index);
    if (value.type === LUA_TUSERDATA) return value.value.data;
    return value.type === LUA_TLIGHTUSERDATA ? value.value : undefined;
  }

  toThread(index: number): LuaState | undefined {
    const value = at(this, index);
    return value.type === LUA_TTHREAD ? value.value : undefined;
  }

  toPointer(index: number): object | undefined {
    const value = at(this, index).value;
    return typeof value === "object" && value !== null ? value : undefined;
  }

  rawLength(index: number): number {
    return lapi.lua_rawlen(this, index);
  }

  // ---- tables

  getField(index: number, key: string): LuaType {
    const table = at(this, index);
    push(this, LUA_TLNGSTR, keyOf(key));
    return getTable(this, table);
  }

  setField(index: number, key: string): void {
    const table = at(this, index);
    push(this, LUA_TLNGSTR, keyOf(key));
    lvm.settable(this, table, this.stack[this.top - 1], this.stack[this.top - 2]);
    this.pop(2);
  }

  getTable(index: number): LuaType {
    return getTable(this, at(this, index));
  }

  rawGetField(index: number, key: string): LuaType {
    const value = ltable.luaH_getstr(at(this, index).value, keyOf(key));
    push(this, value.type, value.value);
    return TYPE_NAMES[(value.type & 0x0f) + 1]!;
  }

  rawSetField(index: number, key: string): void {
    const table = at(this, index);
    push(this, LUA_TLNGSTR, keyOf(key));
    ltable.luaH_setfrom(this, table.value, this.stack[this.top - 1], this.stack[this.top - 2]);
    ltable.invalidateTMcache(table.value);
    this.pop(2);
  }

  rawGetIndex(index: number, i: number): LuaType {
    const value = ltable.luaH_getint(at(this, index).value, i);
    push(this, value.type, value.value);
    return TYPE_NAMES[(value.type & 0x0f) + 1]!;
  }

  rawSetIndex(index: number, i: number): void {
    ltable.luaH_setint(at(this, index).value, i, this.stack[this.top - 1]);
    this.pop();
  }

  rawGet(index: number): LuaType {
    return TYPE_NAMES[lapi.lua_rawget(this, index) + 1]!;
  }

  rawSet(index: number): void {
    lapi.lua_rawset(this, index);
  }

  next(index: number): boolean {
    this.checkStack(1);
    return lapi.lua_next(this, index) !== 0;
  }

  getGlobal(name: string): LuaType {
    push(this, LUA_TLNGSTR, keyOf(name));
    return getTable(this, ltable.luaH_getint(this.l_G.l_registry.value, LUA_RIDX_GLOBALS));
  }

  setGlobal(name: string): void {
    this.pushGlobals();
    this.insert(-2);
    this.setField(-2, name);
    this.pop();
  }

  setMetatable(index: number): void {
    lapi.lua_setmetatable(this, index);
  }

  getMetatable(index: number): boolean {
    this.checkStack(1);
    return lapi.lua_getmetatable(this, index);
  }

  // ---- references

  ref(): number {
    const { values, free } = references(this);
    const slot = free.pop() ?? values.length;
    values[slot] = this.stack[this.top - 1];
    this.pop();
    return slot;
  }

  pushRef(ref: number): LuaType {
    const value = references(this).values[ref];
    push(this, value.type, value.value);
    return TYPE_NAMES[(value.type & 0x0f) + 1]!;
  }

  unref(ref: number): void {
    const { values, free } = references(this);
    values[ref] = undefined;
    free.push(ref);
  }

  upvalue(i: number): number {
    return LUA_REGISTRYINDEX - i;
  }

  // ---- call

  call(args: number, results: number): void {
    lapi.lua_call(this, args, results);
  }

  protectedCall(args: number, results: number, traceback = false): "ok" | "error" {
    if (!traceback) return lapi.lua_pcall(this, args, results, 0) === LUA_OK ? "ok" : "error";
    const handler = this.getTop() - args;
    push(this, LUA_TLCF, addTraceback);
    this.insert(handler);
    const status: number = lapi.lua_pcall(this, args, results, handler);
    this.remove(handler);
    return status === LUA_OK ? "ok" : "error";
  }

  protectedCallK(args: number, handler: number, continuation: (L: LuaState, failed: boolean) => number): number {
    return finishProtected(
      this,
      lapi.lua_pcallk(this, args, defs.LUA_MULTRET, handler, continuation, finishProtected),
      continuation,
    );
  }

  error(message: string): never {
    this.pushText(this.where(1) + message);
    return lapi.lua_error(this) as never;
  }

  raise(): never {
    // An error raised by the hook itself runs its message handler, which may need to be stopped as well.
    this.allowhook = 1;
    return lapi.lua_error(this) as never;
  }

  abort(): never {
    // Going back to each of them takes time in proportion to the depth of the stack: hours, when a recursion is all of pcalls.
    for (let { ci } = this; ci !== null; ci = ci.previous) ci.callstatus &= ~lstate.CIST_YPCALL;
    // A message handler of the script's own would only run on.
    if (this.errfunc !== 0 && this.stack[this.errfunc].value !== addTraceback) this.errfunc = 0;
    return this.raise();
  }

  argError(arg: number, message: string): never {
    return lauxlib.luaL_argerror(this, arg, defs.to_luastring(message)) as never;
  }

  load(source: Uint8Array | string, name: string): "ok" | "error" {
    this.checkStack(1);
    const bytes = typeof source === "string" ? defs.to_luastring(source) : source;
    const status = lauxlib.luaL_loadbufferx(this, bytes, bytes.length, defs.to_luastring(`@${name}`), TEXT_ONLY);
    return status === LUA_OK ? "ok" : "error";
  }

  globalUses(index: number): GlobalUse[] {
    const uses: GlobalUse[] = [];
    collectGlobals(at(this, index).value.p, uses);
    return uses.sort((a, b) => a.line - b.line);
  }

  setUpvalue(index: number, i: number): boolean {
    const name = lapi.lua_setupvalue(this, index, i);
    if (name === null) this.pop();
    return name !== null;
  }

  where(level: number): string {
    lauxlib.luaL_where(this, level);
    const where = this.toText(-1)!;
    this.pop();
    return where;
  }

  traceback(message: string): string {
    this.checkStack(1);
    const restore = skipMiddle(this);
    lauxlib.luaL_traceback(this, this, defs.to_luastring(message), 0);
    restore();
    const text = this.toText(-1)!;
    this.pop();
    return text;
  }

  openLibrary(name: LibraryName): void {
    lauxlib.luaL_requiref(this, defs.to_luastring(name), lualib[`luaopen_${name === "_G" ? "base" : name}`], 1);
    this.pop();
  }

  setCountHook(hook: CountHook, count: number): void {
    ldebug.lua_sethook(this, hook, LUA_MASKCOUNT, count);
  }

  allocated(): number {
    return allocation.bytes;
  }

  collect(): number {
    Bun.gc(true);
    return heapSize();
  }

  // ---- coroutines

  newThread(): LuaState {
    const thread = lstate.lua_newthread(this);
    this.pop();
    return thread;
  }

  pushThread(thread: LuaState): void {
    push(this, LUA_TTHREAD, thread);
  }

  resume(args: number, from?: LuaState): CallStatus {
    const status = ldo.lua_resume(this, from ?? null, args);
    return status === LUA_OK ? "ok" : status === LUA_YIELD ? "yield" : "error";
  }

  yield(results: number, continuation: HostFunction): number {
    return ldo.lua_yieldk(this, results, 0, continuation);
  }

  isYieldable(): boolean {
    return ldo.lua_isyieldable(this);
  }

  threadStatus(): "suspended" | "running" | "dead" {
    if (this.status === LUA_YIELD) return "suspended";
    if (this.status !== LUA_OK) return "dead";
    if (this.ci !== this.base_ci) return "running";
    return this.getTop() === 0 ? "dead" : "suspended";
  }
}

function at(L: FengariState, index: number): Untyped {
  if (index > 0) {
    const slot = L.ci.funcOff + index;
    return slot >= L.top ? luaO_nilobject : L.stack[slot];
  }
  if (index > LUA_REGISTRYINDEX) return L.stack[L.top + index];
  if (index === LUA_REGISTRYINDEX) return L.l_G.l_registry;
  const { func } = L.ci;
  return func.type === LUA_TLCF
    ? luaO_nilobject
    : (func.value.upvalue[LUA_REGISTRYINDEX - index - 1] ?? luaO_nilobject);
}

/** Grows the stack as needed, so a host function need not count what it pushes. */
function push(L: FengariState, type: number, value: unknown): void {
  if (L.top >= L.ci.top) L.checkStack(1);
  L.stack[L.top++] = new TValue(type, value);
}

/** Replaces the key on top by its value in `table`. */
function getTable(L: FengariState, table: Untyped): LuaType {
  const slot = L.top - 1;
  lvm.luaV_gettable(L, table, L.stack[slot], slot);
  return TYPE_NAMES[(L.stack[slot].type & 0x0f) + 1]!;
}

/** The string at `index`; a number is rendered as one, without changing it in place. */
function stringAt(L: FengariState, index: number): LuaString | undefined {
  const value = at(L, index);
  if (value.type === LUA_TLNGSTR) return value.value;
  if (!value.ttisnumber()) return undefined;
  const rendered = new TValue(value.type, value.value);
  lobject.luaO_tostring(L, rendered);
  return rendered.value;
}

function references(L: FengariState): References {
  L.l_G.references ??= new References();
  return L.l_G.references;
}

/** More than a traceback shows of each end of the stack. */
const TRACEBACK_END = 16;

/**
 * Takes the middle out of a deep stack's list of calls, until `restore`: a traceback shows the ends only, but walks through the
 * whole list again and again, and a runaway recursion's has a hundred thousand calls.
 */
function skipMiddle({ ci, base_ci }: FengariState): () => void {
  let first = ci;
  for (let i = 0; i < TRACEBACK_END && first !== base_ci; i++) first = first.previous;
  let ahead = first;
  for (let i = 0; i < TRACEBACK_END && ahead !== base_ci; i++) ahead = ahead.previous;
  if (ahead === base_ci) return () => {};
  const { previous } = first;
  let last = previous;
  for (ahead = ahead.previous; ahead !== base_ci; ahead = ahead.previous) last = last.previous;
  first.previous = last;
  return () => {
    first.previous = previous;
  };
}

function addTraceback(L: LuaState): number {
  const message = L.toText(1) ?? `(error object is a ${L.type(1)} value)`;
  L.pushText(L.traceback(message));
  return 1;
}

function collectGlobals(proto: Untyped, uses: GlobalUse[]): void {
  const { OP_GETTABUP, OP_SETTABUP } = lopcodes.OpCodesI;
  for (const [pc, { opcode, A, B, C }] of proto.code.entries()) {
    if (opcode !== OP_GETTABUP && opcode !== OP_SETTABUP) continue;
    const assigned = opcode === OP_SETTABUP;
    const environment: LuaString | null = proto.upvalues[assigned ? A : B].name;
    const key = assigned ? B : C;
    if (environment?.text !== "_ENV" || !lopcodes.ISK(key)) continue;
    const name = proto.k[lopcodes.INDEXK(key)].value;
    if (name instanceof LuaString) uses.push({ name: name.text, line: proto.lineinfo[pc], assigned });
  }
  for (const inner of proto.p) collectGlobals(inner, uses);
}

function finishProtected(
  L: FengariState,
  status: number,
  continuation: (L: LuaState, failed: boolean) => number,
): number {
  const failed = status !== LUA_OK && status !== LUA_YIELD;
  // fengari forgets that hooks were allowed before the call, and without its hook a loop could not be stopped.
  if (failed) L.allowhook = 1;
  return continuation(L, failed);
}

/** Turns what a host function threw in JavaScript into a Lua error; its argument is the thrown value. */
function nativeError(L: FengariState): number {
  const thrown: unknown = at(L, 1).value;
  const where = L.where(1) || L.where(2);
  if (thrown instanceof RangeError && thrown.message.includes("call stack")) L.pushText(`${where}stack overflow`);
  else L.pushText(where + (thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)));
  return 1;
}

const { constructor: _, ...methods } = Object.getOwnPropertyDescriptors(FengariState.prototype);
Object.defineProperties(lstate.lua_State.prototype, methods);

/** A new VM with no library open; the state is its main thread. */
export function createState(): LuaState {
  const L = lauxlib.luaL_newstate();
  lapi.lua_atnativeerror(L, nativeError);
  return L;
}
