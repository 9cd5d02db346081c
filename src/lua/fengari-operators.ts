import "./fengari-frames.ts";
import type { Thread, Value } from "./fengari-types.ts";
import { LuaString } from "./lua-string.ts";

/** What operators do with operands they are not made for at first sight: strings that read as numbers, and metamethods. */

const { constant_types } = require("fengari/src/defs.js");
const ldebug = require("fengari/src/ldebug.js");
const { OpCodesI } = require("fengari/src/lopcodes.js");
const { luaS_bless } = require("fengari/src/lstring.js");
const { lua_number2str } = require("fengari/src/luaconf.js");
const ltm = require("fengari/src/ltm.js");
const lvm = require("fengari/src/lvm.js");

const { LUA_TNUMFLT, LUA_TLNGSTR } = constant_types;

type Operation = (x: number, y: number) => number;

/** The sign is that of the divisor. */
export function modulo(x: number, y: number): number {
  const remainder = x % y;
  return remainder * y < 0 ? remainder + y : remainder;
}

const OPERATIONS: Operation[] = [];
OPERATIONS[OpCodesI.OP_ADD] = (x, y) => x + y;
OPERATIONS[OpCodesI.OP_SUB] = (x, y) => x - y;
OPERATIONS[OpCodesI.OP_MUL] = (x, y) => x * y;
OPERATIONS[OpCodesI.OP_MOD] = modulo;
OPERATIONS[OpCodesI.OP_POW] = (x, y) => x ** y;
OPERATIONS[OpCodesI.OP_DIV] = (x, y) => x / y;
OPERATIONS[OpCodesI.OP_IDIV] = (x, y) => Math.floor(x / y);
OPERATIONS[OpCodesI.OP_UNM] = (x) => -x;

const BIT_OPERATIONS: Operation[] = [];
BIT_OPERATIONS[OpCodesI.OP_BAND] = (x, y) => x & y;
BIT_OPERATIONS[OpCodesI.OP_BOR] = (x, y) => x | y;
BIT_OPERATIONS[OpCodesI.OP_BXOR] = (x, y) => x ^ y;
BIT_OPERATIONS[OpCodesI.OP_SHL] = (x, y) => lvm.luaV_shiftl(x, y);
BIT_OPERATIONS[OpCodesI.OP_SHR] = (x, y) => lvm.luaV_shiftl(x, -y);
BIT_OPERATIONS[OpCodesI.OP_BNOT] = (x) => ~x;

/** Metamethods of operators come in the order of their opcodes. */
const TO_METAMETHOD = ltm.TMS.TM_ADD - OpCodesI.OP_ADD;

export function arithmetic(L: Thread, opcode: number, a: Value, b: Value, into: Value): void {
  const x: number | false = lvm.tonumber(a);
  const y: number | false = lvm.tonumber(b);
  if (x === false || y === false) ltm.luaT_trybinTM(L, a, b, into, opcode + TO_METAMETHOD);
  else setNumber(into, OPERATIONS[opcode]!(x, y));
}

export function bitOperation(L: Thread, opcode: number, a: Value, b: Value, into: Value): void {
  const x: number | false = lvm.tointeger(a);
  const y: number | false = lvm.tointeger(b);
  if (x === false || y === false) ltm.luaT_trybinTM(L, a, b, into, opcode + TO_METAMETHOD);
  else setNumber(into, BIT_OPERATIONS[opcode]!(x, y));
}

function setNumber(into: Value, number: number): void {
  into.type = LUA_TNUMFLT;
  into.value = number;
}

const encoder = new TextEncoder();
const LIMIT = encoder.encode("'for' limit must be a number");
const STEP = encoder.encode("'for' step must be a number");
const INITIAL = encoder.encode("'for' initial value must be a number");

/** Makes the three values of a `for` numbers, and the first one so that adding the step begins the loop. */
export function prepareLoop(L: Thread, initial: Value, limit: Value, step: Value): void {
  setNumber(limit, loopNumber(L, limit, LIMIT));
  setNumber(step, loopNumber(L, step, STEP));
  setNumber(initial, loopNumber(L, initial, INITIAL) - step.value);
}

function loopNumber(L: Thread, value: Value, message: Uint8Array): number {
  const number: number | false = lvm.tonumber(value);
  return number === false ? ldebug.luaG_runerror(L, message) : number;
}

/** Joins the strings and numbers in slots `from` to `to`; false, with nothing done, when there is something else among them. */
export function concatenate(L: Thread, from: number, to: number, into: Value): boolean {
  const { stack } = L;
  for (let i = from; i <= to; i++) {
    const { type } = stack[i]!;
    if (type !== LUA_TLNGSTR && type !== LUA_TNUMFLT) return false;
  }
  let length = 0;
  for (let i = from; i <= to; i++) {
    const value = stack[i]!;
    if (value.type === LUA_TNUMFLT) {
      value.type = LUA_TLNGSTR;
      value.value = new LuaString(undefined, lua_number2str(value.value));
    }
    length += (value.value as LuaString).tsslen();
  }
  const bytes = new Uint8Array(length);
  for (let i = from, at = 0; i <= to; i++) {
    const string: LuaString = stack[i]!.value;
    bytes.set(string.getstr(), at);
    at += string.tsslen();
  }
  const joined = luaS_bless(L, bytes);
  into.type = LUA_TLNGSTR;
  into.value = joined;
  return true;
}
