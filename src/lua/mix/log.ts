import { anyArgument, shownArgument } from "../arguments.ts";
import type { ScriptHost } from "../host.ts";
import type { LuaState } from "../state.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** `mix.log(mix.INFO, message)` and the levels' constants. The line begins with the script's own file and line. */
export function installLog(L: LuaState, host: ScriptHost): void {
  for (const [i, level] of LEVELS.entries()) {
    L.pushNumber(i + 1);
    L.setField(-2, level.toUpperCase());
  }
  L.pushFunction((state) => {
    const level =
      LEVELS[(state.toNumber(1) ?? 0) - 1] ??
      state.argError(1, `mix.DEBUG, mix.INFO, mix.WARN or mix.ERROR expected, got ${shownArgument(state, 1)}`);
    host.log[level](state.where(1) + display(state, 2));
    return 0;
  });
  L.nameFunctions("mix.log");
  L.setField(-2, "log");
}

/** As `print` would show it. */
function display(L: LuaState, arg: number): string {
  anyArgument(L, arg);
  L.getGlobal("tostring");
  L.pushValue(arg);
  L.call(1, 1);
  return L.toText(-1) ?? "";
}
