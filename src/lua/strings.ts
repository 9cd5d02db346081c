import type { Budget } from "./budget.ts";
import { PatternMatch } from "./pattern.ts";
import type { HostFunction, LuaState } from "./state.ts";

/** Longest string a script may make, in bytes. */
export const MAX_STRING = 64 * 1024 * 1024;

const EMPTY = new Uint8Array(0);
const SPECIAL = /[$^*+?.([%-]/;

/**
 * The functions of `string` and `table` whose work a script can make as large as it likes, in versions that respect its budget:
 * they look at the clock on the way, and none makes a string of more than 64 MiB.
 */
export function installStrings(L: LuaState, budget: Budget): void {
  const tick = (state: LuaState) => budget.check(state);

  L.getGlobal("string");
  set(L, "rep", rep);
  set(L, "find", (state) => find(state, tick, true));
  set(L, "match", (state) => find(state, tick, false));
  set(L, "gmatch", (state) => gmatch(state, tick));
  set(L, "gsub", (state) => gsub(state, tick));
  L.getField(-1, "format");
  L.pushFunction(format, 1);
  L.setField(-2, "format");
  L.pop();

  L.getGlobal("table");
  set(L, "concat", concat);
  L.pop();
}

function set(L: LuaState, name: string, fn: HostFunction): void {
  L.pushFunction(fn);
  L.setField(-2, name);
}

function bytes(L: LuaState, arg: number): Uint8Array {
  return L.toBytes(arg) ?? L.argError(arg, `string expected, got ${describe(L, arg)}`);
}

function integer(L: LuaState, arg: number, missing?: number): number {
  const type = L.type(arg);
  if (missing !== undefined && (type === "none" || type === "nil")) return missing;
  const number = L.toNumber(arg);
  if (number === undefined) L.argError(arg, `number expected, got ${describe(L, arg)}`);
  if (!Number.isInteger(number)) L.argError(arg, "number has no integer representation");
  return number;
}

function describe(L: LuaState, arg: number): string {
  const type = L.type(arg);
  return type === "none" ? "no value" : type;
}

function tooLarge(L: LuaState): never {
  return L.error(`resulting string too large (more than ${MAX_STRING} bytes)`);
}

function rep(L: LuaState): number {
  const piece = bytes(L, 1);
  const count = integer(L, 2);
  const separator = L.type(3) === "none" || L.type(3) === "nil" ? EMPTY : bytes(L, 3);
  const unit = piece.length + separator.length;
  const total = count <= 0 ? 0 : unit * count - separator.length;
  if (total > MAX_STRING) tooLarge(L);
  const result = new Uint8Array(total);
  result.set(piece.subarray(0, total));
  if (total > piece.length) {
    result.set(separator, piece.length);
    for (let filled = unit; filled < total; filled *= 2) result.copyWithin(filled, 0, Math.min(filled, total - filled));
  }
  L.pushBytes(result);
  return 1;
}

/** Where a search begins, as an offset, for a position counted from 1 or from the end. */
function offset(position: number, length: number): number {
  if (position > 0) return position - 1;
  return position === 0 ? 0 : Math.max(0, length + position);
}

function find(L: LuaState, tick: (L: LuaState) => void, positions: boolean): number {
  const source = bytes(L, 1);
  const pattern = bytes(L, 2);
  let s = offset(integer(L, 3, 1), source.length);
  if (s > source.length) return nothing(L);
  if (positions && (L.toBoolean(4) || isPlain(L, pattern))) {
    const found = Buffer.from(source.buffer, source.byteOffset, source.length).indexOf(pattern, s);
    if (found < 0) return nothing(L);
    L.pushNumber(found + 1);
    L.pushNumber(found + pattern.length);
    return 2;
  }
  const match = new PatternMatch(L, source, pattern, tick);
  const anchored = pattern[0] === 0x5e;
  do {
    const end = match.at(s, anchored ? 1 : 0);
    if (end === -1) continue;
    if (!positions) return match.pushCaptures(s, end);
    L.pushNumber(s + 1);
    L.pushNumber(end);
    return 2 + (match.captures > 0 ? match.pushCaptures(s, end) : 0);
  } while (++s <= source.length && !anchored);
  return nothing(L);
}

function isPlain(L: LuaState, pattern: Uint8Array): boolean {
  return pattern.length < 200 && !SPECIAL.test(L.toText(2)!);
}

function nothing(L: LuaState): number {
  L.pushNil();
  return 1;
}

function gmatch(L: LuaState, tick: (L: LuaState) => void): number {
  const source = bytes(L, 1);
  const pattern = bytes(L, 2);
  let next = 0;
  let last = -1;
  L.pushFunction((state) => {
    const match = new PatternMatch(state, source, pattern, tick);
    for (let s = next; s <= source.length; s++) {
      const end = match.at(s, 0);
      if (end === -1 || end === last) continue;
      next = end;
      last = end;
      return match.pushCaptures(s, end);
    }
    next = source.length + 1;
    return nothing(state);
  });
  return 1;
}

/** Pieces of a string in the making. */
class Pieces {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(private readonly L: LuaState) {}

  add(piece: Uint8Array): void {
    this.#length += piece.length;
    if (this.#length > MAX_STRING) tooLarge(this.L);
    this.#pieces.push(piece);
  }

  joined(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}

function gsub(L: LuaState, tick: (L: LuaState) => void): number {
  const source = bytes(L, 1);
  const pattern = bytes(L, 2);
  const kind = L.type(3);
  if (kind !== "string" && kind !== "number" && kind !== "table" && kind !== "function") {
    L.argError(3, `string/function/table expected, got ${describe(L, 3)}`);
  }
  const limit = integer(L, 4, source.length + 1);
  const match = new PatternMatch(L, source, pattern, tick);
  const anchored = pattern[0] === 0x5e;
  const pieces = new Pieces(L);
  let count = 0;
  let s = 0;
  let copied = 0;
  let last = -1;
  while (count < limit) {
    const end = match.at(s, anchored ? 1 : 0);
    if (end !== -1 && end !== last) {
      count++;
      pieces.add(source.subarray(copied, s));
      addReplacement(L, match, pieces, s, end);
      s = end;
      last = end;
      copied = end;
    } else if (s < source.length) s++;
    else break;
    if (anchored) break;
  }
  pieces.add(source.subarray(copied));
  L.pushBytes(pieces.joined());
  L.pushNumber(count);
  return 2;

  function addReplacement(state: LuaState, found: PatternMatch, into: Pieces, from: number, to: number): void {
    if (kind === "function") {
      state.pushValue(3);
      state.call(found.pushCaptures(from, to), 1);
    } else if (kind === "table") {
      found.pushCapture(0, from, to);
      state.getTable(3);
    } else {
      addTemplate(state, found, into, from, to);
      return;
    }
    if (!state.toBoolean(-1)) into.add(source.subarray(from, to));
    else into.add(state.toBytes(-1) ?? state.error(`invalid replacement value (a ${state.type(-1)})`));
    state.pop();
  }

  /** A replacement string: %1 to %9 are captures, %0 is the match, %% a percent sign. */
  function addTemplate(state: LuaState, found: PatternMatch, into: Pieces, from: number, to: number): void {
    const template = state.toBytes(3)!;
    let plain = 0;
    for (let at = template.indexOf(0x25); at >= 0; at = template.indexOf(0x25, plain)) {
      into.add(template.subarray(plain, at));
      const c = template[at + 1];
      plain = at + 2;
      if (c === 0x25) into.add(template.subarray(at, at + 1));
      else if (c === 0x30) into.add(source.subarray(from, to));
      else if (c !== undefined && c > 0x30 && c <= 0x39) {
        found.pushCapture(c - 0x31, from, to);
        into.add(state.toBytes(-1)!);
        state.pop();
      } else state.error("invalid use of '%' in replacement string");
    }
    into.add(template.subarray(plain));
  }
}

/** `string.format`, where %d and %i also take whole numbers beyond 32 bits. */
function format(L: LuaState): number {
  const count = L.getTop();
  let size = 0;
  let wide = false;
  for (let arg = 1; arg <= count; arg++) {
    if (L.type(arg) === "string") size += L.rawLength(arg);
    else if (L.isInteger(arg)) wide ||= (L.toNumber(arg)! | 0) !== L.toNumber(arg);
  }
  if (size > MAX_STRING) tooLarge(L);
  if (wide) {
    L.pushText(widened(L));
    L.replace(1);
  }
  L.pushValue(L.upvalue(1));
  L.insert(1);
  L.call(count, 1);
  return 1;
}

/** The format with "%.0f" for each %d that would be given more than 32 bits. */
function widened(L: LuaState): string {
  let arg = 1;
  return (L.toText(1) ?? "").replace(/%(%|[-+ #0]*\d*(?:\.\d*)?[a-zA-Z])/g, (directive: string, rest: string) => {
    if (rest === "%") return directive;
    arg++;
    const number = L.isInteger(arg) ? L.toNumber(arg)! : 0;
    return (number | 0) === number ? directive : directive.replace(/^(%[-+ #0]*\d*)[di]$/, "$1.0f");
  });
}

function concat(L: LuaState): number {
  if (L.type(1) !== "table") L.argError(1, `table expected, got ${describe(L, 1)}`);
  const separator = L.type(2) === "none" || L.type(2) === "nil" ? EMPTY : bytes(L, 2);
  const first = integer(L, 3, 1);
  const last = L.type(4) === "none" || L.type(4) === "nil" ? L.rawLength(1) : integer(L, 4);
  const pieces = new Pieces(L);
  for (let i = first; i <= last; i++) {
    L.pushNumber(i);
    L.getTable(1);
    const piece = L.toBytes(-1);
    if (piece === undefined) L.error(`invalid value (${describe(L, -1)}) at index ${i} in table for 'concat'`);
    pieces.add(piece);
    if (i < last && separator.length > 0) pieces.add(separator);
    L.pop();
  }
  L.pushBytes(pieces.joined());
  return 1;
}
