import { allocation } from "./allocation.ts";
import "./fengari-base.ts";
import "./fengari-numbers.ts";
import type { Thread, Value } from "./fengari-types.ts";
import type { LuaString } from "./lua-string.ts";

/**
 * Lua tables in the place of fengari's, which keep two JavaScript maps for each table and three objects for each entry. Here, as in
 * PUC-Rio's Lua, the values of 1 to n are an array, other entries are a short list that gets an index when it grows, and an
 * entry set to nil stays until the next new key needs its place, so a traversal may clear what it visits.
 */

const { constant_types, to_luastring } = require("fengari/src/defs.js");
const ldebug = require("fengari/src/ldebug.js");
const { TValue, luaO_nilobject } = require("fengari/src/lobject.js");
const ltable = require("fengari/src/ltable.js");

const { LUA_TNIL, LUA_TNUMBER, LUA_TNUMFLT, LUA_TLNGSTR, LUA_TLIGHTUSERDATA } = constant_types;

/** From here on a table has an index; below, looking along the list is quicker. */
const INDEXED = 9;

/** What the engine takes for one of each, about. */
const ITEM_BYTES = 40;
const SLOT_BYTES = 80;
const TABLE_BYTES = 100;

type State = Pick<Thread, "l_G" | "stack">;

/** The value of an entry, together with its key. */
class Slot extends TValue {
  declare type: number;
  declare value: unknown;
  declare setnilvalue: () => void;
  declare setfrom: (other: Value) => void;
  declare l_isfalse: () => boolean;
  declare ttisnil: () => boolean;
  declare ttisfunction: () => boolean;
  declare ttisnumber: () => boolean;

  constructor(
    readonly hash: unknown,
    readonly keyType: number,
    readonly keyValue: unknown,
    /** Its place in the list. */
    public at: number,
    value: Value,
  ) {
    super(value.type, value.value);
  }

  /** For fengari's lexer, which keeps its strings in a table. */
  get key(): Value {
    return new TValue(this.keyType, this.keyValue);
  }
}

const NO_ITEMS: Value[] = [];
const NO_SLOTS: Slot[] = [];

export class Table {
  readonly id: number;
  metatable: Table | null = null;
  /** Bits of metamethods known to be absent. */
  flags = ~0;
  /** The values of 1 to n; the last one is never nil. The shared empty arrays are never written to. */
  items: Value[] = NO_ITEMS;
  /** How many of `items` are nil. */
  holes = 0;
  slots: Slot[] = NO_SLOTS;
  /** How many of `slots` are nil. */
  vacant = 0;
  index: Map<unknown, Slot> | undefined = undefined;

  constructor(L: State) {
    this.id = L.l_G.id_counter++;
    allocation.bytes += TABLE_BYTES;
  }

  /** For fengari's lexer: `strong.get(hash)`. */
  get strong(): Table {
    return this;
  }

  get(hash: unknown): Slot | undefined {
    if (this.index !== undefined) return this.index.get(hash);
    const { slots } = this;
    for (let i = 0; i < slots.length; i++) if (slots[i]!.hash === hash) return slots[i];
    return undefined;
  }

  /** `get` that looks first where `hint` found its key before. */
  find(hash: unknown, hint: { at: number }): Slot | undefined {
    const { slots } = this;
    if (hint.at < slots.length) {
      const slot = slots[hint.at]!;
      if (slot.hash === hash) return slot;
    }
    const slot = this.get(hash);
    if (slot !== undefined) hint.at = slot.at;
    return slot;
  }

  getInteger(key: number): Value {
    if (key > 0 && key <= this.items.length) return this.items[key - 1]!;
    return this.get(key) ?? luaO_nilobject;
  }

  setInteger(key: number, value: Value): void {
    const { items } = this;
    const { length } = items;
    if (key > 0 && key <= length) this.#setItem(key - 1, value);
    else if (key === length + 1) this.#append(key, value);
    else this.set(key, LUA_TNUMFLT, key, value);
  }

  set(hash: unknown, keyType: number, keyValue: unknown, value: Value): void {
    const slot = this.get(hash);
    if (slot === undefined) {
      if (value.type !== LUA_TNIL) this.#add(hash, keyType, keyValue, value);
      return;
    }
    if (slot.type === LUA_TNIL) this.vacant--;
    if (value.type === LUA_TNIL) this.vacant++;
    slot.setfrom(value);
  }

  #setItem(i: number, value: Value): void {
    const item = this.items[i]!;
    if (item.type === LUA_TNIL) this.holes--;
    if (value.type === LUA_TNIL) this.holes++;
    item.setfrom(value);
    while (this.items.length > 0 && this.items[this.items.length - 1]!.type === LUA_TNIL) {
      this.items.pop();
      this.holes--;
    }
  }

  #append(key: number, value: Value): void {
    if (this.slots.length > 0) {
      const slot = this.get(key);
      if (slot !== undefined && slot.type !== LUA_TNIL) {
        this.set(key, LUA_TNUMFLT, key, value);
        return;
      }
    }
    if (value.type === LUA_TNIL) return;
    // A queue that is emptied at its front would otherwise keep its whole past.
    if (this.holes > 8 && this.holes * 2 > this.items.length) {
      this.#dissolveItems();
      this.set(key, LUA_TNUMFLT, key, value);
      return;
    }
    if (this.items === NO_ITEMS) this.items = [];
    allocation.bytes += ITEM_BYTES;
    this.items.push(new TValue(value.type, value.value));
    if (this.slots.length > 0) this.#takeOver();
  }

  /** Moves the entries that now continue the array into it. */
  #takeOver(): void {
    for (;;) {
      const slot = this.get(this.items.length + 1);
      if (slot === undefined || slot.type === LUA_TNIL) return;
      this.items.push(new TValue(slot.type, slot.value));
      slot.setnilvalue();
      this.vacant++;
    }
  }

  #dissolveItems(): void {
    const { items } = this;
    this.items = NO_ITEMS;
    this.holes = 0;
    for (const [i, item] of items.entries()) this.set(i + 1, LUA_TNUMFLT, i + 1, item);
  }

  #add(hash: unknown, keyType: number, keyValue: unknown, value: Value): void {
    if (this.vacant * 2 > this.slots.length) this.#compact();
    if (this.slots === NO_SLOTS) this.slots = [];
    const slot = new Slot(hash, keyType, keyValue, this.slots.length, value);
    allocation.bytes += SLOT_BYTES;
    this.slots.push(slot);
    if (this.index !== undefined) this.index.set(hash, slot);
    else if (this.slots.length === INDEXED) {
      this.index = new Map();
      for (const each of this.slots) this.index.set(each.hash, each);
    }
  }

  #compact(): void {
    this.slots = this.slots.filter((slot) => slot.type !== LUA_TNIL);
    this.vacant = 0;
    for (let i = 0; i < this.slots.length; i++) this.slots[i]!.at = i;
    if (this.index === undefined) return;
    this.index = new Map();
    for (const slot of this.slots) this.index.set(slot.hash, slot);
  }

  /** Puts the entry after the array's `item` and the list's `at` where `next` answers; false at the end. */
  advance(item: number, at: number, key: Value, value: Value): boolean {
    for (let i = item; i < this.items.length; i++) {
      const found = this.items[i]!;
      if (found.type === LUA_TNIL) continue;
      key.type = LUA_TNUMFLT;
      key.value = i + 1;
      value.setfrom(found);
      return true;
    }
    for (let i = at; i < this.slots.length; i++) {
      const slot = this.slots[i]!;
      if (slot.type === LUA_TNIL) continue;
      key.type = slot.keyType;
      key.value = slot.keyValue;
      value.setfrom(slot);
      return true;
    }
    return false;
  }
}

/** The integer a number key stands for; `undefined` for other keys. */
function integerKey(key: Value): number | undefined {
  if ((key.type & 0x0f) !== LUA_TNUMBER) return undefined;
  const number = key.value as number;
  return (number | 0) === number ? number | 0 : undefined;
}

/** What tells two keys apart. A light userdata may hold a number or string: no Lua string begins with U+0100. */
function hashOf(key: Value): unknown {
  if (key.type === LUA_TLNGSTR) return (key.value as LuaString).key;
  if (key.type !== LUA_TLIGHTUSERDATA || typeof key.value === "object") return key.value;
  return `\u0100${typeof key.value}${String(key.value)}`;
}

function isNaNKey(key: Value): boolean {
  return key.type === LUA_TNUMFLT && Number.isNaN(key.value);
}

export function luaH_get(_L: State, table: Table, key: Value): Value {
  if (key.type === LUA_TLNGSTR) return table.get((key.value as LuaString).key) ?? luaO_nilobject;
  const integer = integerKey(key);
  if (integer !== undefined) return table.getInteger(integer);
  if (key.type === LUA_TNIL || isNaNKey(key)) return luaO_nilobject;
  return table.get(hashOf(key)) ?? luaO_nilobject;
}

export function luaH_setfrom(L: State, table: Table, key: Value, value: Value): void {
  if (key.type === LUA_TLNGSTR) {
    table.set((key.value as LuaString).key, LUA_TLNGSTR, key.value, value);
    return;
  }
  const integer = integerKey(key);
  if (integer !== undefined) table.setInteger(integer, value);
  else if (key.type === LUA_TNIL) ldebug.luaG_runerror(L, to_luastring("table index is nil"));
  else if (isNaNKey(key)) ldebug.luaG_runerror(L, to_luastring("table index is NaN"));
  else table.set(hashOf(key), key.type, key.value, value);
}

export function luaH_next(L: State, table: Table, keyIndex: number): boolean {
  const key = L.stack[keyIndex]!;
  const value = L.stack[keyIndex + 1]!;
  if (key.type === LUA_TNIL) return table.advance(0, 0, key, value);
  const integer = integerKey(key);
  if (integer !== undefined && integer > 0 && integer <= table.items.length) {
    return table.advance(integer, 0, key, value);
  }
  const slot = table.get(integer ?? hashOf(key));
  if (slot !== undefined) return table.advance(table.items.length, slot.at + 1, key, value);
  // The traversal has just cleared the end of the array, which is gone with it.
  if ((key.type & 0x0f) === LUA_TNUMBER) return table.advance(table.items.length, 0, key, value);
  return ldebug.luaG_runerror(L, to_luastring("invalid key to 'next'"));
}

ltable.Table = Table;
ltable.luaH_new = (L: State) => new Table(L);
ltable.luaH_get = luaH_get;
ltable.luaH_getint = (table: Table, key: number) => table.getInteger(key);
ltable.luaH_getstr = (table: Table, key: LuaString) => table.get(key.key) ?? luaO_nilobject;
ltable.luaH_setfrom = luaH_setfrom;
ltable.luaH_setint = (table: Table, key: number, value: Value) => table.setInteger(key, value);
ltable.luaH_getn = (table: Table) => table.items.length;
ltable.luaH_next = luaH_next;
ltable.invalidateTMcache = (table: Table) => {
  table.flags = 0;
};
