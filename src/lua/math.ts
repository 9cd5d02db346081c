import { integerArgument, numberArgument } from "./arguments.ts";
import type { HostFunction, LuaState } from "./state.ts";

/**
 * What of `math` goes by the range of integers, for numbers that are doubles: integers are those below 2^53. fengari's functions
 * end at 2^31, and its `random` is seeded for all VMs at once.
 */
export function installMath(L: LuaState): void {
  let next = Math.random;
  const functions: Record<string, HostFunction> = {
    type,
    tointeger,
    random: (state) => random(state, next()),
    randomseed(state) {
      next = seeded(numberArgument(state, 1));
      return 0;
    },
  };
  L.getGlobal("math");
  for (const [name, fn] of Object.entries(functions)) {
    L.pushFunction(fn);
    L.setField(-2, name);
  }
  L.pushNumber(Number.MAX_SAFE_INTEGER);
  L.setField(-2, "maxinteger");
  L.pushNumber(Number.MIN_SAFE_INTEGER);
  L.setField(-2, "mininteger");
  L.pop();
}

function type(L: LuaState): number {
  if (L.type(1) !== "number") L.pushNil();
  else L.pushKey(L.isInteger(1) ? "integer" : "float");
  return 1;
}

function tointeger(L: LuaState): number {
  const number = L.toNumber(1);
  if (number !== undefined && Number.isSafeInteger(number)) L.pushNumber(number);
  else L.pushNil();
  return 1;
}

/** `random()` from 0 to 1, `random(m)` from 1 to m, `random(m, n)` from m to n. `draw` is at least 0 and less than 1. */
function random(L: LuaState, draw: number): number {
  const count = L.getTop();
  if (count > 2) L.error("wrong number of arguments");
  if (count === 0) {
    L.pushNumber(draw);
    return 1;
  }
  const low = count === 1 ? 1 : integerArgument(L, 1);
  const high = integerArgument(L, count);
  if (low > high) L.argError(count, "interval is empty");
  if (high - low > Number.MAX_SAFE_INTEGER) L.argError(count, "interval too large");
  L.pushNumber(low + Math.floor(draw * (high - low + 1)));
  return 1;
}

/** Mulberry32, two draws for the 53 bits of a double: the same seed gives the same numbers. */
function seeded(seed: number): () => number {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
  const draw = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  return () => ((draw() >>> 5) * 2 ** 26 + (draw() >>> 6)) / 2 ** 53;
}
