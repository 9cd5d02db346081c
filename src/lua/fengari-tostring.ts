import "./fengari-numbers.ts";

/** `tostring` of strings and numbers, which have no metamethod for it: fengari's looks for one all the same, at length. */

const { LUA_TNUMBER, LUA_TSTRING } = require("fengari/src/defs.js").constant_types;
const lapi = require("fengari/src/lapi.js");
const lauxlib = require("fengari/src/lauxlib.js");

const convert: (L: unknown, index: number) => Uint8Array = lauxlib.luaL_tolstring;

lauxlib.luaL_tolstring = (L: unknown, index: number): Uint8Array => {
  const type = lapi.lua_type(L, index);
  if (type !== LUA_TSTRING && type !== LUA_TNUMBER) return convert(L, index);
  lapi.lua_pushvalue(L, index);
  return lapi.lua_tolstring(L, -1);
};
