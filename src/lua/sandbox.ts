import type { LibraryName, LuaState } from "./state.ts";

const LIBRARIES: LibraryName[] = ["_G", "coroutine", "table", "string", "math", "utf8", "os"];

/** What of `os` a script keeps; the rest reaches the file system, the environment or the process. */
const OS_FUNCTIONS = new Set(["time", "date", "clock", "difftime"]);

/** Functions that read files, or byte code, or that this VM has no meaning for. */
const REMOVED = ["dofile", "loadfile"];

/**
 * Opens the libraries a script may use. There is no `io`, `debug` and `package.loadlib`, and no bridge to JavaScript: fengari's
 * own `package` and `fengari` libraries are never opened.
 */
export function openSandbox(L: LuaState): void {
  for (const library of LIBRARIES) L.openLibrary(library);
  for (const name of REMOVED) {
    L.pushNil();
    L.setGlobal(name);
  }

  L.newTable();
  L.getGlobal("os");
  for (const name of OS_FUNCTIONS) {
    L.getField(-1, name);
    L.setField(-3, name);
  }
  L.pop();
  L.setGlobal("os");

  // Byte code cannot be loaded, so there is nothing to do with it.
  L.getGlobal("string");
  L.pushNil();
  L.setField(-2, "dump");
  L.pop();

  // `getmetatable("")` answers false instead of the table all strings share.
  L.pushKey("");
  L.getMetatable(-1);
  L.pushBoolean(false);
  L.setField(-2, "__metatable");
  L.pop(2);

  L.getGlobal("math");
  L.pushFunction((state) => {
    // All numbers are doubles here: a whole one is what a script means by an integer.
    if (state.type(1) !== "number") state.pushNil();
    else state.pushKey(state.isInteger(1) ? "integer" : "float");
    return 1;
  });
  L.setField(-2, "type");
  L.pop();

  L.pushFunction((state) => {
    // "count" answers the kilobytes in use by the process; JavaScript collects garbage by itself.
    state.pushNumber(state.toText(1) === "count" ? process.memoryUsage().heapUsed / 1024 : 0);
    return 1;
  });
  L.setGlobal("collectgarbage");
}
