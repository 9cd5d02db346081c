import { defs, lapi, lobject, lstring, ltable, luaconf, lvm } from "./fengari-modules.ts";
import { at, push, typeOf } from "./fengari-stack.ts";
import type { State } from "./fengari-types.ts";
import { LuaString } from "./lua-string.ts";
import type { LuaState } from "./state.ts";

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
const { luaO_nilobject, Udata } = lobject;

/** Keys and constants, converted and hashed once for the process; a Lua string belongs to no VM. */
const keys = new Map<string, LuaString>();
export function keyOf(key: string): LuaString {
  let string = keys.get(key);
  if (string === undefined) {
    string = new LuaString(undefined, key);
    keys.set(key, string);
  }
  return string;
}

/** The string at `index`; a number is rendered as one, without changing it in place. */
function stringAt(L: State, index: number): LuaString | undefined {
  const value = at(L, index);
  if (value.type === LUA_TLNGSTR) return value.value;
  return value.type === LUA_TNUMFLT ? new LuaString(undefined, luaconf.lua_number2str(value.value)) : undefined;
}

type Pushing =
  | "pushNil"
  | "pushBoolean"
  | "pushNumber"
  | "pushText"
  | "pushKey"
  | "pushBytes"
  | "pushFunction"
  | "pushUserdata"
  | "pushLightUserdata"
  | "pushThread"
  | "newTable";

export const pushMethods: Pick<LuaState, Pushing> & ThisType<State> = {
  pushNil() {
    push(this, LUA_TNIL, null);
  },

  pushBoolean(value) {
    push(this, LUA_TBOOLEAN, value);
  },

  pushNumber(value) {
    push(this, LUA_TNUMFLT, value);
  },

  pushText(value) {
    push(this, LUA_TLNGSTR, new LuaString(undefined, value.isWellFormed() ? value : value.toWellFormed()));
  },

  pushKey(key) {
    push(this, LUA_TLNGSTR, keyOf(key));
  },

  pushBytes(bytes) {
    push(this, LUA_TLNGSTR, lstring.luaS_bless(this, bytes));
  },

  pushFunction(fn, upvalues = 0) {
    if (upvalues === 0) push(this, LUA_TLCF, fn);
    else lapi.lua_pushcclosure(this, fn, upvalues);
  },

  pushUserdata(value) {
    const userdata = new Udata(this, 0);
    userdata.data = value;
    userdata.uservalue = luaO_nilobject;
    push(this, LUA_TUSERDATA, userdata);
  },

  pushLightUserdata(value) {
    push(this, LUA_TLIGHTUSERDATA, value);
  },

  pushThread(thread) {
    push(this, LUA_TTHREAD, thread);
  },

  newTable() {
    push(this, LUA_TTABLE, ltable.luaH_new(this));
  },
};

type Reading =
  | "type"
  | "isInteger"
  | "toBoolean"
  | "toNumber"
  | "toBytes"
  | "toText"
  | "toStrictText"
  | "isText"
  | "toUserdata"
  | "toThread"
  | "toPointer"
  | "rawLength";

export const readMethods: Pick<LuaState, Reading> & ThisType<State> = {
  type(index) {
    const value = at(this, index);
    return value === luaO_nilobject ? "none" : typeOf(value);
  },

  isInteger(index) {
    return Number.isSafeInteger(at(this, index).value);
  },

  toBoolean(index) {
    return !at(this, index).l_isfalse();
  },

  toNumber(index) {
    const value = at(this, index);
    if (value.type === LUA_TNUMFLT) return value.value;
    const number: number | false = lvm.tonumber(value);
    return number === false ? undefined : number;
  },

  toBytes(index) {
    return stringAt(this, index)?.getstr();
  },

  toText(index) {
    return stringAt(this, index)?.text;
  },

  toStrictText(index) {
    return stringAt(this, index)?.strictText;
  },

  isText(index) {
    return stringAt(this, index)?.isText;
  },

  toUserdata(index) {
    const value = at(this, index);
    if (value.type === LUA_TUSERDATA) return value.value.data;
    return value.type === LUA_TLIGHTUSERDATA ? value.value : undefined;
  },

  toThread(index) {
    const value = at(this, index);
    return value.type === LUA_TTHREAD ? value.value : undefined;
  },

  toPointer(index) {
    const { value } = at(this, index);
    return typeof value === "object" && value !== null ? value : undefined;
  },

  rawLength(index) {
    return lapi.lua_rawlen(this, index);
  },
};
