import { LuaString } from "./lua-string.ts";

/**
 * Loads the beginning of fengari with its build options and with strings of our own, put into the exports of the module that owns
 * them before any other module takes them over. That is why the order matters and why these are `require` calls.
 */

// fengari reads its build options from this variable while it loads; nobody else sees it.
const inherited = process.env.FENGARICONF;
process.env.FENGARICONF = JSON.stringify({
  // Whole numbers print without ".0": see fengari-numbers.ts.
  LUA_COMPAT_FLOATSTRING: true,
  // Errors show paths in full.
  LUA_IDSIZE: 200,
  // Slots of one stack: a runaway recursion ends before its hundreds of megabytes hold up everyone.
  LUAI_MAXSTACK: 200_000,
});
require("fengari/src/defs.js");
require("fengari/src/luaconf.js");
if (inherited === undefined) delete process.env.FENGARICONF;
else process.env.FENGARICONF = inherited;

const lstring = require("fengari/src/lstring.js");
replaceStrings();

/** Bytes that count as one instruction, about what copying them takes. */
const BYTES_AN_INSTRUCTION = 512;
/** Longest string the `..` operator may make, in bytes. */
const LONGEST = 64 * 1024 * 1024;
const TOO_LONG = new TextEncoder().encode("resulting string too large");

/**
 * fengari's own strings are hashed digit by digit into keys that are not unique ("\1\35" and "\18\3" are one table key).
 * Called as functions and, by one module, with `new`: hence no arrows.
 */
function replaceStrings(): void {
  lstring.TString = LuaString;
  lstring.luaS_bless = function bless(state: { hookcount: number } | null, bytes: Uint8Array) {
    const { length } = bytes;
    // Brings the next call of the count hook nearer: a script could make gigabytes before it is due.
    if (length >= BYTES_AN_INSTRUCTION && state !== null) {
      // Loaded here because it must not be loaded before the strings are in place.
      if (length > LONGEST) require("fengari/src/ldebug.js").luaG_runerror(state, TOO_LONG);
      state.hookcount = Math.max(1, state.hookcount - Math.floor(length / BYTES_AN_INSTRUCTION));
    }
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
