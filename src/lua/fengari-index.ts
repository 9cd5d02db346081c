import "./fengari-frames.ts";
import { luaH_get, luaH_setfrom, type Table } from "./fengari-tables.ts";
import type { Instruction, Thread, Value } from "./fengari-types.ts";

/** `object[key]`, read and written, with metamethods, in the place of fengari's. */

const { constant_types } = require("fengari/src/defs.js");
const ldebug = require("fengari/src/ldebug.js");
const ltm = require("fengari/src/ltm.js");
const lvm = require("fengari/src/lvm.js");

const { LUA_TNIL, LUA_TTABLE } = constant_types;
const { TM_INDEX, TM_NEWINDEX } = ltm.TMS;

/** Objects to look into, one the `__index` of the other. */
const MAX_CHAIN = 2000;

const encoder = new TextEncoder();
const INDEX = encoder.encode("index");
const INDEX_LOOP = encoder.encode("'__index' chain too long; possible loop");
const NEWINDEX_LOOP = encoder.encode("'__newindex' chain too long; possible loop");

/** Puts `object[key]` into `into`. */
export function get(L: Thread, object: Value, key: Value, into: Value): void {
  let from = object;
  for (let i = 0; i < MAX_CHAIN; i++) {
    let handler: Value | null;
    if (from.type === LUA_TTABLE) {
      const table: Table = from.value;
      const found = luaH_get(L, table, key);
      if (found.type !== LUA_TNIL) {
        into.type = found.type;
        into.value = found.value;
        return;
      }
      handler = table.metatable === null ? null : ltm.fasttm(L, table.metatable, TM_INDEX);
      if (handler === null) {
        into.setnilvalue();
        return;
      }
    } else {
      handler = ltm.luaT_gettmbyobj(L, from, TM_INDEX) as Value;
      if (handler.type === LUA_TNIL) ldebug.luaG_typeerror(L, from, INDEX);
    }
    if (handler.ttisfunction()) {
      ltm.luaT_callTM(L, handler, from, key, into, 1);
      return;
    }
    from = handler;
  }
  ldebug.luaG_runerror(L, INDEX_LOOP);
}

/**
 * `get` for a key that is a string constant of the instruction: the entry is mostly where it was last time, be it in the object
 * or, as the methods of userdata are, in the table that is its `__index`.
 */
export function getField(L: Thread, object: Value, key: Value, into: Value, instruction: Instruction): void {
  const holder: Value = object.type === LUA_TTABLE ? object : ltm.luaT_gettmbyobj(L, object, TM_INDEX);
  if (holder.type === LUA_TTABLE) {
    const found = (holder.value as Table).find(key.value.key, instruction);
    if (found !== undefined && found.type !== LUA_TNIL) {
      into.type = found.type;
      into.value = found.value;
      return;
    }
  }
  get(L, object, key, into);
}

/** `object[key] = value`. */
export function set(L: Thread, object: Value, key: Value, value: Value): void {
  let to = object;
  for (let i = 0; i < MAX_CHAIN; i++) {
    let handler: Value | null;
    if (to.type === LUA_TTABLE) {
      const table: Table = to.value;
      handler = table.metatable === null ? null : ltm.fasttm(L, table.metatable, TM_NEWINDEX);
      if (handler === null || luaH_get(L, table, key).type !== LUA_TNIL) {
        luaH_setfrom(L, table, key, value);
        table.flags = 0;
        return;
      }
    } else {
      handler = ltm.luaT_gettmbyobj(L, to, TM_NEWINDEX) as Value;
      if (handler.type === LUA_TNIL) ldebug.luaG_typeerror(L, to, INDEX);
    }
    if (handler.ttisfunction()) {
      ltm.luaT_callTM(L, handler, to, key, value, 0);
      return;
    }
    to = handler;
  }
  ldebug.luaG_runerror(L, NEWINDEX_LOOP);
}

/** `set` for a key that is a string constant of the instruction. */
export function setField(L: Thread, object: Value, key: Value, value: Value, instruction: Instruction): void {
  if (object.type === LUA_TTABLE && value.type !== LUA_TNIL) {
    const table: Table = object.value;
    const found = table.find(key.value.key, instruction);
    if (found !== undefined && found.type !== LUA_TNIL) {
      found.type = value.type;
      found.value = value.value;
      table.flags = 0;
      return;
    }
  }
  set(L, object, key, value);
}

lvm.luaV_gettable = (L: Thread, object: Value, key: Value, slot: number) => get(L, object, key, L.stack[slot]!);
lvm.settable = set;
