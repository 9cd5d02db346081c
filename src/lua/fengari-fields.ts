import { get, set } from "./fengari-index.ts";
import { defs, lapi, lobject } from "./fengari-modules.ts";
import { at, push, typeOf } from "./fengari-stack.ts";
import { luaH_get, luaH_next, luaH_setfrom, type Table } from "./fengari-tables.ts";
import type { State, Value } from "./fengari-types.ts";
import { keyOf } from "./fengari-values.ts";
import type { LuaState, LuaType } from "./state.ts";

const { LUA_TNIL, LUA_TLNGSTR } = defs.constant_types;
const { LUA_RIDX_GLOBALS } = defs;
const { TValue } = lobject;

/** Values kept for the host, by number, one list for each VM. */
class References {
  readonly values: (Value | undefined)[] = [undefined];
  readonly free: number[] = [];
}

function references(L: State): References {
  L.l_G.references ??= new References();
  return L.l_G.references;
}

/** Replaces the key on top by its value in `table`. */
function getTable(L: State, table: Value): LuaType {
  const slot = L.stack[L.top - 1]!;
  get(L, table, slot, slot);
  return typeOf(slot);
}

function globals(L: State): Value {
  return (L.l_G.l_registry.value as Table).getInteger(LUA_RIDX_GLOBALS);
}

function pushFound(L: State, value: Value): LuaType {
  push(L, value.type, value.value);
  return typeOf(value);
}

type Methods =
  | "getField"
  | "setField"
  | "getTable"
  | "rawGetField"
  | "rawSetField"
  | "rawGetIndex"
  | "rawSetIndex"
  | "rawGet"
  | "rawSet"
  | "next"
  | "pushGlobals"
  | "getGlobal"
  | "setGlobal"
  | "setMetatable"
  | "getMetatable"
  | "ref"
  | "pushRef"
  | "unref"
  | "upvalue";

export const fieldMethods: Pick<LuaState, Methods> & ThisType<State> = {
  getField(index, key) {
    const table = at(this, index);
    this.pushKey(key);
    return getTable(this, table);
  },

  setField(index, key) {
    const table = at(this, index);
    this.pushKey(key);
    set(this, table, this.stack[this.top - 1]!, this.stack[this.top - 2]!);
    this.pop(2);
  },

  getTable(index) {
    return getTable(this, at(this, index));
  },

  rawGetField(index, key) {
    const value = (at(this, index).value as Table).get(keyOf(key).key);
    if (value !== undefined) return pushFound(this, value);
    push(this, LUA_TNIL, null);
    return "nil";
  },

  rawSetField(index, key) {
    const table: Table = at(this, index).value;
    const string = keyOf(key);
    table.set(string.key, LUA_TLNGSTR, string, this.stack[this.top - 1]!);
    table.flags = 0;
    this.pop();
  },

  rawGetIndex(index, i) {
    return pushFound(this, (at(this, index).value as Table).getInteger(i));
  },

  rawSetIndex(index, i) {
    (at(this, index).value as Table).setInteger(i, this.stack[this.top - 1]!);
    this.pop();
  },

  rawGet(index) {
    const slot = this.stack[this.top - 1]!;
    slot.setfrom(luaH_get(this, at(this, index).value, slot));
    return typeOf(slot);
  },

  rawSet(index) {
    const table: Table = at(this, index).value;
    luaH_setfrom(this, table, this.stack[this.top - 2]!, this.stack[this.top - 1]!);
    table.flags = 0;
    this.pop(2);
  },

  next(index) {
    const table: Table = at(this, index).value;
    push(this, LUA_TNIL, null);
    if (luaH_next(this, table, this.top - 2)) return true;
    this.pop(2);
    return false;
  },

  pushGlobals() {
    pushFound(this, globals(this));
  },

  getGlobal(name) {
    this.pushKey(name);
    return getTable(this, globals(this));
  },

  setGlobal(name) {
    this.pushGlobals();
    this.insert(-2);
    this.setField(-2, name);
    this.pop();
  },

  setMetatable(index) {
    lapi.lua_setmetatable(this, index);
  },

  getMetatable(index) {
    this.checkStack(1);
    return lapi.lua_getmetatable(this, index);
  },

  ref() {
    const { values, free } = references(this);
    const slot = free.pop() ?? values.length;
    const { type, value } = this.stack[this.top - 1]!;
    values[slot] = new TValue(type, value);
    this.pop();
    return slot;
  },

  pushRef(ref) {
    return pushFound(this, references(this).values[ref]!);
  },

  unref(ref) {
    const { values, free } = references(this);
    values[ref] = undefined;
    free.push(ref);
  },

  upvalue(i) {
    return defs.LUA_REGISTRYINDEX - i;
  },
};
