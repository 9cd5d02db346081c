import "./fengari-base.ts";

/**
 * One kind of number, as in Lua 5.1: a double. fengari's integers have 32 bits and wrap around, which no script expects of a time
 * in milliseconds or a client id. Nothing here produces them any more, and whole numbers print without a fraction.
 */

const { constant_types } = require("fengari/src/defs.js");
const luaconf = require("fengari/src/luaconf.js");

const format: (n: number) => string = luaconf.lua_number2str;
/** "%.14g", but whole numbers print as in JSON: with the digits that read back as the same number, up to 1e21. */
luaconf.lua_number2str = (n: number) => {
  if (Number.isInteger(n) && Math.abs(n) < 1e21) return Object.is(n, -0) ? "-0" : String(n);
  if (n === Number.POSITIVE_INFINITY) return "inf";
  if (n === Number.NEGATIVE_INFINITY) return "-inf";
  return Number.isNaN(n) ? "nan" : format(n).replace(/e([+-])(\d)$/, "e$10$2");
};

/** What bit operators and library functions take for an integer: unsigned 32-bit numbers stand for signed ones. */
luaconf.lua_numbertointeger = (n: number) => (n >= -(2 ** 31) && n < 2 ** 32 ? n | 0 : false);

// Of the modules that need one another, this one has to come first.
const lapi = require("fengari/src/lapi.js");
const lobject = require("fengari/src/lobject.js");

lobject.TValue.prototype.setivalue = function setivalue(n: number) {
  this.type = constant_types.LUA_TNUMFLT;
  this.value = n;
};

lapi.lua_pushinteger = lapi.lua_pushnumber;

const DECIMAL = /^[ \t-\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \t-\r]*$/;
const HEXADECIMAL = /^[ \t-\r]*([+-]?)(0[xX][\da-fA-F]+)[ \t-\r]*$/;

const readNumber: (bytes: Uint8Array, into: { setfltvalue(n: number): void }) => number = lobject.luaO_str2num;
/** Hexadecimal integers do not wrap around either. Answers the length and one, 0 for what is no number. */
lobject.luaO_str2num = (bytes: Uint8Array, into: { setfltvalue(n: number): void }) => {
  // No number is longer, but a string that is asked whether it is one may be.
  if (bytes.length > 400) return 0;
  const text = String.fromCharCode(...bytes);
  const hexadecimal = HEXADECIMAL.exec(text);
  if (hexadecimal !== null) into.setfltvalue(Number(hexadecimal[2]) * (hexadecimal[1] === "-" ? -1 : 1));
  else if (DECIMAL.test(text)) into.setfltvalue(Number(text));
  else return readNumber(bytes, into);
  return bytes.length + 1;
};
