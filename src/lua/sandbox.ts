import { installMath } from "./math.ts";
import { installOs } from "./os.ts";
import type { LibraryName, LuaState } from "./state.ts";

const LIBRARIES: LibraryName[] = ["_G", "coroutine", "table", "string", "math", "utf8"];

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

  installOs(L);
  installMath(L);

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

  L.pushFunction((state) => {
    // "count" answers the kilobytes in use by the process; JavaScript collects garbage by itself.
    state.pushNumber(state.toText(1) === "count" ? process.memoryUsage().heapUsed / 1024 : 0);
    return 1;
  });
  L.setGlobal("collectgarbage");
}
