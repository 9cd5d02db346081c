import type { Failure } from "../hub/connection.ts";
import type { Json, JsonObject } from "../json.ts";
import { isJsonObject } from "../json.ts";
import { MAX_STRING } from "./pieces.ts";
import type { LuaState } from "./state.ts";

/** How deep values may be nested, in both directions. */
const MAX_DEPTH = 128;

/** What `mix.null` is: JSON null as a value that a table can hold. */
const NULL = Object.freeze({});

/** Tables that are objects even when empty: those marked by `mix.json_object` and empty objects that came from JSON. */
const objects = new WeakSet<object>();

/** Pushes `mix.null`. */
export function pushNull(L: LuaState): void {
  L.pushLightUserdata(NULL);
}

/** Makes the table at `index` a JSON object, even when it is empty or has the keys of an array. */
export function markObject(L: LuaState, index: number): void {
  const table = L.toPointer(index);
  if (table !== undefined) objects.add(table);
}

/**
 * Pushes a JSON value: one value in any case, nil with a failure when it is nested too deep. Null becomes `mix.null`, integers
 * Lua integers where they fit.
 */
export function pushJson(L: LuaState, value: Json): Failure {
  const top = L.getTop();
  if (pushNested(L, value, 0)) return undefined;
  L.setTop(top);
  L.pushNil();
  return `nested deeper than ${MAX_DEPTH} levels`;
}

function pushNested(L: LuaState, value: Json, depth: number): boolean {
  if (typeof value === "string") L.pushText(value);
  else if (typeof value === "number") L.pushNumber(value);
  else if (typeof value === "boolean") L.pushBoolean(value);
  else if (value === null) pushNull(L);
  else if (depth === MAX_DEPTH) return false;
  else if (Array.isArray(value)) {
    L.charge(1 + value.length);
    L.newTable();
    for (let i = 0; i < value.length; i++) {
      if (!pushNested(L, value[i]!, depth + 1)) return false;
      L.rawSetIndex(-2, i + 1);
    }
  } else {
    const keys = Object.keys(value);
    L.charge(1 + keys.length);
    L.newTable();
    for (const key of keys) {
      L.pushText(key);
      if (!pushNested(L, value[key]!, depth + 1)) return false;
      L.rawSet(-3);
    }
    if (keys.length === 0) markObject(L, -1);
  }
  return true;
}

/**
 * Reads the value at `index` as JSON. A table with exactly the keys 1 to n is an array, an empty one too unless it is marked
 * as an object; any other table is an object, with number keys written in decimal. A table that is met again is read again:
 * a few lines of Lua describe more values than there is time for, so each in a table counts as an instruction.
 */
export function readJson(L: LuaState, index: number): { value: Json } | { error: string } {
  const top = L.getTop();
  try {
    return { value: readNested(L, L.absIndex(index), new Reading()) };
  } catch (thrown) {
    if (!(thrown instanceof NotJson)) throw thrown;
    L.setTop(top);
    return { error: thrown.message };
  }
}

/** Like `readJson`, for an object: the empty table is one too. */
export function readJsonObject(L: LuaState, index: number): { value: JsonObject } | { error: string } {
  const read = readJson(L, index);
  if ("error" in read) return read;
  if (isJsonObject(read.value)) return { value: read.value };
  if (Array.isArray(read.value) && read.value.length === 0) return { value: {} };
  return { error: "expected a table with string keys" };
}

class NotJson extends Error {}

/** How far the reading of one value has come. */
class Reading {
  /** The tables around the value that is read next. */
  readonly path: object[] = [];
  #length = 0;

  /** A string may be met again and again too: what all of them make is bounded as a single one is. */
  text(text: string): string {
    this.#length += text.length;
    if (this.#length > MAX_STRING) throw new NotJson(`its strings are longer than ${MAX_STRING} characters together`);
    return text;
  }
}

function readNested(L: LuaState, index: number, reading: Reading): Json {
  switch (L.type(index)) {
    case "string": {
      const text = L.toStrictText(index);
      if (text === undefined) throw new NotJson("a string is not UTF-8: pass it through mix.base64_encode first");
      return reading.text(text);
    }
    case "number": {
      const number = L.toNumber(index)!;
      if (!Number.isFinite(number)) throw new NotJson(`${number} is not a number in JSON`);
      return number;
    }
    case "boolean":
      return L.toBoolean(index);
    case "none":
    case "nil":
      return null;
    case "table":
      return readTable(L, index, reading);
    default:
      if (L.toUserdata(index) === NULL) return null;
      throw new NotJson(`a ${L.type(index)} has no JSON form`);
  }
}

function readTable(L: LuaState, index: number, reading: Reading): Json {
  const { path } = reading;
  const table = L.toPointer(index)!;
  if (path.includes(table)) throw new NotJson("a table contains itself");
  if (path.length === MAX_DEPTH) throw new NotJson(`nested deeper than ${MAX_DEPTH} levels`);
  path.push(table);
  const marked = objects.has(table);
  const array = marked || L.rawLength(index) === 0 ? undefined : readArray(L, index, reading);
  const read = array ?? readObject(L, index, reading) ?? (marked ? {} : []);
  path.pop();
  return read;
}

/** `undefined` when the table has other keys than 1 to n. */
function readArray(L: LuaState, index: number, reading: Reading): Json[] | undefined {
  const length = L.rawLength(index);
  let count = 0;
  L.pushNil();
  while (L.next(index)) {
    L.pop();
    count++;
    if (count > length || L.type(-1) !== "number") {
      L.pop();
      return undefined;
    }
  }
  L.charge(length);
  const items: Json[] = [];
  for (let i = 1; i <= length; i++) {
    L.rawGetIndex(index, i);
    items.push(readNested(L, L.getTop(), reading));
    L.pop();
  }
  return items;
}

/** `undefined` when the table is empty. */
function readObject(L: LuaState, index: number, reading: Reading): JsonObject | undefined {
  const object: JsonObject = {};
  let count = 0;
  L.pushNil();
  while (L.next(index)) {
    count++;
    const type = L.type(-2);
    if (type !== "string" && type !== "number") throw new NotJson(`a table key is a ${type}, expected a string`);
    const key = L.toStrictText(-2);
    if (key === undefined) throw new NotJson("a table key is not UTF-8");
    reading.text(key);
    const value = readNested(L, L.getTop(), reading);
    // Assigning "__proto__" would change the object instead of its contents.
    if (key === "__proto__")
      Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
    else object[key] = value;
    L.pop();
  }
  L.charge(1 + count);
  return count === 0 ? undefined : object;
}
