// The order matters: these replace parts of fengari before the rest of it is loaded or used.
import "./fengari-base.ts";
import "./fengari-numbers.ts";
import "./fengari-tables.ts";
import "./fengari-frames.ts";
import "./fengari-index.ts";
import "./fengari-execute.ts";
import "./fengari-threads.ts";
import "./fengari-tostring.ts";

export const defs = require("fengari/src/defs.js");
export const lapi = require("fengari/src/lapi.js");
export const lauxlib = require("fengari/src/lauxlib.js");
export const ldebug = require("fengari/src/ldebug.js");
export const ldo = require("fengari/src/ldo.js");
export const lobject = require("fengari/src/lobject.js");
export const lopcodes = require("fengari/src/lopcodes.js");
export const lstate = require("fengari/src/lstate.js");
export const lstring = require("fengari/src/lstring.js");
export const ltable = require("fengari/src/ltable.js");
export const luaconf = require("fengari/src/luaconf.js");
export const lualib = require("fengari/src/lualib.js");
export const lvm = require("fengari/src/lvm.js");
