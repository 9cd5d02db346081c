import { bytesArgument, functionArgument, integerArgument, isAbsent, tableArgument, typeName } from "./arguments.ts";
import type { Budget } from "./budget.ts";
import { latin1 } from "./latin1.ts";
import { Pieces } from "./pieces.ts";
import type { LuaState } from "./state.ts";

/** Elements between two looks at the budget. */
const TICK_ELEMENTS = 0x3fff;
/** More than a table can hold within the memory a script may fill. */
const MOST_MOVED = 4 * 1024 * 1024;

/**
 * The functions of `table` whose work a script, or the data a client sends, can make as large as it likes, in versions that respect
 * the budget.
 */
export function installTables(L: LuaState, budget: Budget): void {
  L.getGlobal("table");
  L.pushFunction((state) => concat(state, budget));
  L.setField(-2, "concat");
  for (const [name, fn] of [
    ["move", move],
    ["sort", sort],
  ] as const) {
    L.getField(-1, name);
    L.pushFunction(fn, 1);
    L.setField(-2, name);
  }
  L.pop();
}

function concat(L: LuaState, budget: Budget): number {
  tableArgument(L, 1);
  const separator = isAbsent(L, 2) ? new Uint8Array(0) : bytesArgument(L, 2);
  const first = integerArgument(L, 3, 1);
  const last = isAbsent(L, 4) ? L.rawLength(1) : integerArgument(L, 4);
  const pieces = new Pieces(L);
  for (let i = first; i <= last; i++) {
    if ((i & TICK_ELEMENTS) === 0) budget.check(L);
    L.pushNumber(i);
    L.getTable(1);
    const piece = L.toBytes(-1);
    if (piece === undefined) L.error(`invalid value (${typeName(L, -1)}) at index ${i} in table for 'concat'`);
    pieces.add(piece);
    if (i < last && separator.length > 0) pieces.add(separator);
    L.pop();
  }
  L.pushBytes(pieces.joined());
  return 1;
}

/** The library's own `move`, which does it in one go: 10^9 elements would take minutes. */
function move(L: LuaState): number {
  tableArgument(L, 1);
  const [first, last] = [integerArgument(L, 2), integerArgument(L, 3)];
  integerArgument(L, 4);
  if (last - first >= MOST_MOVED) L.argError(3, `too many elements to move (at most ${MOST_MOVED})`);
  return callOriginal(L);
}

/**
 * Numbers and strings without an order of the script's own are sorted by the host, many times faster than by the library's own
 * `sort`, which does all else: with a function of the script it is as interruptible as that.
 */
function sort(L: LuaState): number {
  tableArgument(L, 1);
  L.setTop(2);
  if (L.type(2) !== "nil") functionArgument(L, 2);
  else if (!L.getMetatable(1)) {
    if (sortNumbers(L) || sortStrings(L)) return 0;
  } else L.pop();
  return callOriginal(L);
}

function callOriginal(L: LuaState): number {
  L.pushValue(L.upvalue(1));
  L.insert(1);
  L.call(L.getTop() - 1, -1);
  return L.getTop();
}

/** False, with nothing changed, when there are other values than numbers. */
function sortNumbers(L: LuaState): boolean {
  const numbers = new Float64Array(L.rawLength(1));
  for (let i = 0; i < numbers.length; i++) {
    const isNumber = L.rawGetIndex(1, i + 1) === "number";
    if (isNumber) numbers[i] = L.toNumber(-1)!;
    L.pop();
    if (!isNumber) return false;
  }
  for (const [i, number] of numbers.sort().entries()) {
    L.pushNumber(number);
    L.rawSetIndex(1, i + 1);
  }
  return true;
}

/** By their bytes. */
function sortStrings(L: LuaState): boolean {
  const strings: string[] = [];
  for (let i = 1, length = L.rawLength(1); i <= length; i++) {
    const isString = L.rawGetIndex(1, i) === "string";
    if (isString) strings.push(latin1(L.toBytes(-1)!));
    L.pop();
    if (!isString) return false;
  }
  for (const [i, string] of strings.sort().entries()) {
    L.pushBytes(Buffer.from(string, "latin1"));
    L.rawSetIndex(1, i + 1);
  }
  return true;
}
