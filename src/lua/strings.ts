import { bytesArgument, integerArgument, isAbsent, typeName } from "./arguments.ts";
import type { Budget } from "./budget.ts";
import { installFormat } from "./format.ts";
import { installPack } from "./pack.ts";
import { PatternMatch } from "./pattern.ts";
import { MAX_STRING, Pieces, tooLarge } from "./pieces.ts";
import type { HostFunction, LuaState } from "./state.ts";

const EMPTY = new Uint8Array(0);
const SPECIAL = /[$^*+?.([%-]/;

/**
 * The functions of `string` whose work a script can make as large as it likes, in versions that respect its budget:
 * they look at the clock on the way, and none makes a string of more than 64 MiB. And those that run for each message.
 */
export function installStrings(L: LuaState, budget: Budget): void {
  const tick = (state: LuaState) => budget.check(state);

  L.getGlobal("string");
  set(L, "byte", byte);
  set(L, "sub", sub);
  set(L, "rep", rep);
  set(L, "find", (state) => find(state, tick, true));
  set(L, "match", (state) => find(state, tick, false));
  set(L, "gmatch", (state) => gmatch(state, tick));
  set(L, "gsub", (state) => gsub(state, tick));
  set(L, "char", char);
  installFormat(L);
  installPack(L);
  L.pop();
}

function set(L: LuaState, name: string, fn: HostFunction): void {
  L.pushFunction(fn);
  L.setField(-2, name);
}

function byte(L: LuaState): number {
  const source = bytesArgument(L, 1);
  const from = integerArgument(L, 2, 1);
  const first = Math.max(1, position(from, source.length));
  const last = Math.min(source.length, position(integerArgument(L, 3, from), source.length));
  if (last < first) return 0;
  for (let i = first; i <= last; i++) L.pushNumber(source[i - 1]!);
  return last - first + 1;
}

function sub(L: LuaState): number {
  const source = bytesArgument(L, 1);
  const first = Math.max(1, position(integerArgument(L, 2), source.length));
  const last = Math.min(source.length, position(integerArgument(L, 3, -1), source.length));
  if (first === 1 && last === source.length && L.type(1) === "string") L.setTop(1);
  // A copy, so that a few bytes that a script keeps do not hold on to all that came with them.
  else L.pushBytes(last < first ? EMPTY : source.slice(first - 1, last));
  return 1;
}

/** A position counted from 1, or from the end when negative; 0 when that is before the beginning. */
function position(given: number, length: number): number {
  return given >= 0 ? given : Math.max(0, length + given + 1);
}

function rep(L: LuaState): number {
  const piece = bytesArgument(L, 1);
  const count = integerArgument(L, 2);
  const separator = isAbsent(L, 3) ? EMPTY : bytesArgument(L, 3);
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
  const source = bytesArgument(L, 1);
  const pattern = bytesArgument(L, 2);
  let s = offset(integerArgument(L, 3, 1), source.length);
  if (s > source.length) return nothing(L);
  if (positions && (L.toBoolean(4) || isPlain(L, pattern))) {
    // A Buffer of the same bytes would cost more than most searches.
    const found = Buffer.prototype.indexOf.call(source, pattern, s);
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
  const source = bytesArgument(L, 1);
  const pattern = bytesArgument(L, 2);
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

function gsub(L: LuaState, tick: (L: LuaState) => void): number {
  const source = bytesArgument(L, 1);
  const pattern = bytesArgument(L, 2);
  const kind = L.type(3);
  if (kind !== "string" && kind !== "number" && kind !== "table" && kind !== "function") {
    L.argError(3, `string/function/table expected, got ${typeName(L, 3)}`);
  }
  const limit = integerArgument(L, 4, source.length + 1);
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

function char(L: LuaState): number {
  const bytes = new Uint8Array(L.getTop());
  for (let i = 0; i < bytes.length; i++) {
    const code = integerArgument(L, i + 1);
    if (code < 0 || code > 255) L.argError(i + 1, `value out of range (0 to 255 expected, got ${code})`);
    bytes[i] = code;
  }
  L.pushBytes(bytes);
  return 1;
}
