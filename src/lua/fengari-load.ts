import { defs, lapi, lauxlib, lopcodes, lualib } from "./fengari-modules.ts";
import { at } from "./fengari-stack.ts";
import type { Proto, State } from "./fengari-types.ts";
import { LuaString } from "./lua-string.ts";
import type { GlobalUse, LuaState } from "./state.ts";

/** Source, never byte code, which could break the VM. */
const TEXT_ONLY = defs.to_luastring("t");

const { OP_GETTABUP, OP_SETTABUP } = lopcodes.OpCodesI;

function collectGlobals(proto: Proto, uses: GlobalUse[]): void {
  for (const [pc, { opcode, A, B, C }] of proto.code.entries()) {
    if (opcode !== OP_GETTABUP && opcode !== OP_SETTABUP) continue;
    const assigned = opcode === OP_SETTABUP;
    const environment: LuaString | null = proto.upvalues[assigned ? A : B]!.name;
    const key = assigned ? B : C;
    if (environment?.text !== "_ENV" || !lopcodes.ISK(key)) continue;
    const name = proto.k[lopcodes.INDEXK(key)]!.value;
    if (name instanceof LuaString) uses.push({ name: name.text, line: proto.lineinfo[pc]!, assigned });
  }
  for (const inner of proto.p) collectGlobals(inner, uses);
}

/** Gives every instruction the field that only some will use: the engine runs objects of one shape faster. */
function addHints(proto: Proto): void {
  for (const instruction of proto.code) instruction.at = 0;
  for (const inner of proto.p) addHints(inner);
}

type Methods = "load" | "globalUses" | "setUpvalue" | "openLibrary" | "nameFunctions";

export const loadMethods: Pick<LuaState, Methods> & ThisType<State> = {
  load(source, name) {
    this.checkStack(1);
    const bytes = typeof source === "string" ? defs.to_luastring(source) : source;
    const status = lauxlib.luaL_loadbufferx(this, bytes, bytes.length, defs.to_luastring(`@${name}`), TEXT_ONLY);
    if (status !== defs.thread_status.LUA_OK) return "error";
    addHints(at(this, -1).value.p);
    return "ok";
  },

  globalUses(index) {
    const uses: GlobalUse[] = [];
    collectGlobals(at(this, index).value.p, uses);
    return uses.sort((a, b) => a.line - b.line);
  },

  setUpvalue(index, i) {
    const name = lapi.lua_setupvalue(this, index, i);
    if (name === null) this.pop();
    return name !== null;
  },

  openLibrary(name) {
    lauxlib.luaL_requiref(this, defs.to_luastring(name), lualib[`luaopen_${name === "_G" ? "base" : name}`], 1);
    this.pop();
  },

  nameFunctions(name) {
    // Where fengari looks for them, once there is an error.
    lauxlib.luaL_getsubtable(this, defs.LUA_REGISTRYINDEX, lauxlib.LUA_LOADED_TABLE);
    this.pushValue(-2);
    this.setField(-2, name);
    this.pop();
  },
};
