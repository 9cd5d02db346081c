import { numberArgument } from "../arguments.ts";
import type { HostFunction, LuaState } from "../state.ts";

/**
 * Lua BitOp's functions: arguments are taken modulo 2^32, results are signed 32-bit integers, shift counts use their low
 * five bits. (Lua 5.3's own operators are available beside it.)
 */
const functions: Record<string, HostFunction> = {
  tobit: unary((x) => x),
  bnot: unary((x) => ~x),
  bswap: unary((x) => (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24)),
  band: folded((a, b) => a & b),
  bor: folded((a, b) => a | b),
  bxor: folded((a, b) => a ^ b),
  lshift: shift((x, n) => x << n),
  rshift: shift((x, n) => x >>> n),
  arshift: shift((x, n) => x >> n),
  rol: shift((x, n) => (x << n) | (x >>> (32 - n))),
  ror: shift((x, n) => (x >>> n) | (x << (32 - n))),
  tohex,
};

/** Sets the global `bit`, which `require "bit"` answers as well. */
export function installBit(L: LuaState): void {
  L.newTable();
  for (const [name, fn] of Object.entries(functions)) {
    L.pushFunction(fn);
    L.setField(-2, name);
  }
  L.nameFunctions("bit");
  L.setGlobal("bit");
}

function unary(operation: (x: number) => number): HostFunction {
  return (L) => pushBits(L, operation(bits(L, 1)));
}

function folded(operation: (a: number, b: number) => number): HostFunction {
  return (L) => {
    let result = bits(L, 1);
    for (let arg = 2, count = L.getTop(); arg <= count; arg++) result = operation(result, bits(L, arg));
    return pushBits(L, result);
  };
}

function shift(operation: (x: number, count: number) => number): HostFunction {
  return (L) => pushBits(L, operation(bits(L, 1), bits(L, 2) & 31));
}

/** `tohex(x [, n])`: |n| hexadecimal digits (8), upper case when n is negative. */
function tohex(L: LuaState): number {
  const x = bits(L, 1);
  const n = L.type(2) === "none" || L.type(2) === "nil" ? 8 : bits(L, 2);
  const digits = Math.min(Math.abs(n), 8);
  const hex = (x >>> 0)
    .toString(16)
    .padStart(8, "0")
    .slice(8 - digits);
  L.pushText(n < 0 ? hex.toUpperCase() : hex);
  return 1;
}

/** JavaScript's ToInt32 takes numbers modulo 2^32 as BitOp does; BitOp rounds fractions, ToInt32 would cut them. */
function bits(L: LuaState, arg: number): number {
  const value = numberArgument(L, arg);
  return Number.isInteger(value) ? value | 0 : roundHalfEven(value) | 0;
}

function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function pushBits(L: LuaState, value: number): number {
  L.pushNumber(value | 0);
  return 1;
}
