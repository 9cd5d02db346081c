import type { Handshake } from "./script.ts";
import type { LuaState } from "./state.ts";

/** The `headers` and `server` arguments of `on_handshake`. */
export function pushHandshake(L: LuaState, handshake: Handshake): void {
  L.newTable();
  for (const [name, value] of Object.entries(handshake.headers)) {
    L.pushText(name);
    L.pushText(value);
    L.rawSet(-3);
  }
  // Names arrive in lower case; a script may write them as they are usually written.
  L.newTable();
  L.pushFunction(findHeader);
  L.setField(-2, "__index");
  L.setMetatable(-2);
  L.newTable();
  for (const [key, value] of [
    ["Method", handshake.method],
    ["RequestUri", handshake.requestUri],
    ["ServerProtocol", handshake.serverProtocol],
    ["Host", handshake.host],
    ["RemoteAddr", handshake.remoteAddr],
  ] as const) {
    L.pushText(value);
    L.rawSetField(-2, key);
  }
}

function findHeader(L: LuaState): number {
  const name = L.toText(2);
  if (name === undefined) L.pushNil();
  else {
    L.pushText(name.toLowerCase());
    L.rawGet(1);
  }
  return 1;
}
