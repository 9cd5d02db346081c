import { LuaString } from "./lua-string.ts";

/**
 * fengari's modules, loaded with three of their parts replaced. They are replaced in the exports of the module that owns
 * them before any other module takes them over, which is why the order below matters and why these are `require` calls.
 */

// fengari reads its build options from this variable while it loads; nobody else sees it.
const inherited = process.env.FENGARICONF;
process.env.FENGARICONF = JSON.stringify({
  // Whole floats print without ".0", as in Lua 5.1: fengari's integers have 32 bits, so larger ones are floats here.
  LUA_COMPAT_FLOATSTRING: true,
  // Errors show paths in full.
  LUA_IDSIZE: 200,
});
const defs = require("fengari/src/defs.js");
const luaconf = require("fengari/src/luaconf.js");
if (inherited === undefined) delete process.env.FENGARICONF;
else process.env.FENGARICONF = inherited;

const lstring = require("fengari/src/lstring.js");
replaceStrings();
replaceNumberFormat();

const lapi = require("fengari/src/lapi.js");
const lauxlib = require("fengari/src/lauxlib.js");
const ldebug = require("fengari/src/ldebug.js");
const ldo = require("fengari/src/ldo.js");
const lobject = require("fengari/src/lobject.js");
const lstate = require("fengari/src/lstate.js");
const ltable = require("fengari/src/ltable.js");
const lvm = require("fengari/src/lvm.js");
const lualib = require("fengari/src/lualib.js");

/**
 * fengari's own strings are hashed digit by digit into keys that are not unique ("\1\35" and "\18\3" are one table key).
 * Called as functions and, by one module, with `new`: hence no arrows.
 */
function replaceStrings(): void {
  lstring.TString = LuaString;
  lstring.luaS_bless = function bless(_state: unknown, bytes: Uint8Array) {
    return new LuaString(bytes, undefined);
  };
  lstring.luaS_new = function copy(_state: unknown, bytes: Uint8Array) {
    return new LuaString(new Uint8Array(bytes), undefined);
  };
  lstring.luaS_newliteral = function literal(_state: unknown, text: string) {
    return new LuaString(undefined, text);
  };
  lstring.luaS_hash = (bytes: Uint8Array) => new LuaString(bytes, undefined).key;
  lstring.luaS_hashlongstr = (string: LuaString) => string.key;
  lstring.luaS_eqlngstr = (a: LuaString, b: LuaString) => a.equals(b);
}

/** "%.14g" loses digits of integers that a float holds exactly: client ids and times in milliseconds are such. */
function replaceNumberFormat(): void {
  const format: (n: number) => string = luaconf.lua_number2str;
  luaconf.lua_number2str = (n: number) => {
    if (Number.isSafeInteger(n)) return Object.is(n, -0) ? "-0" : String(n);
    if (n === Number.POSITIVE_INFINITY) return "inf";
    if (n === Number.NEGATIVE_INFINITY) return "-inf";
    return Number.isNaN(n) ? "nan" : format(n).replace(/e([+-])(\d)$/, "e$10$2");
  };
}

export { defs, lapi, lauxlib, ldebug, ldo, lobject, lstate, ltable, lualib, lvm };
