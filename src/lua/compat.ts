import { numberArgument, tableArgument } from "./arguments.ts";
import type { HostFunction, LuaState } from "./state.ts";

/** Functions of Lua 5.1 that 5.3 has not, under their old names: scripts of the original system were written for 5.1. */
export function installCompat(L: LuaState): void {
  L.getGlobal("table");
  L.getField(-1, "unpack");
  L.setGlobal("unpack");
  set(L, "getn", getn);
  set(L, "maxn", maxn);
  L.pop();

  L.getGlobal("math");
  set(L, "pow", (state) => pushNumber(state, numberArgument(state, 1) ** numberArgument(state, 2)));
  set(L, "ldexp", (state) => pushNumber(state, ldexp(numberArgument(state, 1), numberArgument(state, 2))));
  set(L, "frexp", frexp);
  set(L, "atan2", (state) => pushNumber(state, Math.atan2(numberArgument(state, 1), numberArgument(state, 2))));
  for (const name of ["log10", "sinh", "cosh", "tanh"] as const) {
    set(L, name, (state) => pushNumber(state, Math[name](numberArgument(state, 1))));
  }
  L.pop();

  L.getGlobal("string");
  L.getField(-1, "gmatch");
  L.setField(-2, "gfind");
  L.pop();

  for (const [name, instead] of [
    ["setfenv", "give the environment to load()"],
    ["getfenv", "give the environment to load()"],
    ["module", "return a table"],
  ] as const) {
    L.pushFunction((state) => state.error(`${name} is not in Lua 5.3: ${instead} instead`));
    L.setGlobal(name);
  }
}

function set(L: LuaState, name: string, fn: HostFunction): void {
  L.pushFunction(fn);
  L.setField(-2, name);
}

function pushNumber(L: LuaState, value: number): number {
  L.pushNumber(value);
  return 1;
}

function getn(L: LuaState): number {
  tableArgument(L, 1);
  return pushNumber(L, L.rawLength(1));
}

/** The largest positive numeric key. */
function maxn(L: LuaState): number {
  tableArgument(L, 1);
  let largest = 0;
  L.pushNil();
  while (L.next(1)) {
    L.pop();
    if (L.type(-1) === "number") largest = Math.max(largest, L.toNumber(-1)!);
  }
  return pushNumber(L, largest);
}

/** m × 2^e, in steps that neither overflow nor underflow on the way. */
function ldexp(mantissa: number, exponent: number): number {
  const steps = Math.min(3, Math.ceil(Math.abs(exponent) / 1023));
  let result = mantissa;
  for (let i = 0; i < steps; i++) result *= 2 ** Math.floor((exponent + i) / steps);
  return result;
}

/** m and e with x = m × 2^e and 0.5 ≤ |m| < 1. */
function frexp(L: LuaState): number {
  const x = numberArgument(L, 1);
  let exponent = 0;
  if (x !== 0 && Number.isFinite(x)) {
    exponent = Math.max(-1023, Math.floor(Math.log2(Math.abs(x))) + 1);
    let mantissa = x * 2 ** -exponent;
    for (; Math.abs(mantissa) < 0.5; exponent--) mantissa *= 2;
    for (; Math.abs(mantissa) >= 1; exponent++) mantissa /= 2;
    L.pushNumber(mantissa);
  } else L.pushNumber(x);
  L.pushNumber(exponent);
  return 2;
}
