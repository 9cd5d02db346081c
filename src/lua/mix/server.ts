import { textArgument } from "../arguments.ts";
import type { ScriptHost } from "../host.ts";
import type { LuaState } from "../state.ts";
import { pushJson } from "../values.ts";

/** `mix.server.option(name)`: the value of that entry in the server's `options`, nil when it has none. */
export function installServer(L: LuaState, host: ScriptHost): void {
  L.newTable();
  L.pushFunction((state) => {
    const name = textArgument(state, 1);
    if (Object.hasOwn(host.options, name)) pushJson(state, host.options[name]!);
    else state.pushNil();
    return 1;
  });
  L.setField(-2, "option");
  L.nameFunctions("mix.server");
  L.setField(-2, "server");
}
