import { setTop } from "./fengari-frames.ts";
import { defs, lapi, lobject } from "./fengari-modules.ts";
import type { State, Value } from "./fengari-types.ts";
import type { LuaState, LuaType } from "./state.ts";

const { LUA_TLCF } = defs.constant_types;
const { LUA_REGISTRYINDEX } = defs;
const { TValue, luaO_nilobject } = lobject;

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

export function typeOf(value: Value): LuaType {
  return TYPE_NAMES[(value.type & 0x0f) + 1]!;
}

/** The value at an index; `luaO_nilobject` where there is none. */
export function at(L: State, index: number): Value {
  if (index > 0) {
    const slot = L.ci.funcOff + index;
    return slot >= L.top ? luaO_nilobject : L.stack[slot]!;
  }
  if (index > LUA_REGISTRYINDEX) return L.stack[L.top + index]!;
  if (index === LUA_REGISTRYINDEX) return L.l_G.l_registry;
  const { func } = L.ci;
  return func.type === LUA_TLCF
    ? luaO_nilobject
    : (func.value.upvalue[LUA_REGISTRYINDEX - index - 1] ?? luaO_nilobject);
}

/** Grows the stack as needed, so a host function need not count what it pushes. */
export function push(L: State, type: number, value: unknown): void {
  if (L.top >= L.ci.top) L.checkStack(1);
  const slot = L.stack[L.top];
  if (slot === undefined) L.stack[L.top] = new TValue(type, value);
  else {
    slot.type = type;
    slot.value = value;
  }
  L.top++;
}

function slotOf(L: State, index: number): number {
  return index > 0 ? L.ci.funcOff + index : L.top + index;
}

type Methods =
  | "getTop"
  | "setTop"
  | "pop"
  | "absIndex"
  | "pushValue"
  | "insert"
  | "remove"
  | "replace"
  | "checkStack"
  | "moveTo";

export const stackMethods: Pick<LuaState, Methods> & ThisType<State> = {
  getTop() {
    return this.top - (this.ci.funcOff + 1);
  },

  setTop(index) {
    setTop(this, index >= 0 ? this.ci.funcOff + 1 + index : this.top + index + 1);
  },

  pop(count = 1) {
    setTop(this, this.top - count);
  },

  absIndex(index) {
    return lapi.lua_absindex(this, index);
  },

  pushValue(index) {
    const value = at(this, index);
    push(this, value.type, value.value);
  },

  insert(index) {
    const { stack } = this;
    let slot = this.top - 1;
    const { type, value } = stack[slot]!;
    for (const target = slotOf(this, index); slot > target; slot--) stack[slot]!.setfrom(stack[slot - 1]!);
    stack[slot]!.type = type;
    stack[slot]!.value = value;
  },

  remove(index) {
    const { stack } = this;
    for (let slot = slotOf(this, index); slot < this.top - 1; slot++) stack[slot]!.setfrom(stack[slot + 1]!);
    this.pop();
  },

  replace(index) {
    at(this, index).setfrom(this.stack[this.top - 1]!);
    this.pop();
  },

  checkStack(count) {
    if (!lapi.lua_checkstack(this, count)) this.error("stack overflow");
  },

  moveTo(other, count) {
    for (let slot = this.top - count; slot < this.top; slot++) {
      const { type, value } = this.stack[slot]!;
      push(other as State, type, value);
    }
    this.pop(count);
  },
};
