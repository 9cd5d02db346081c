import type { LuaState } from "../state.ts";

/** `mix.uuid()`: a random UUID (RFC 9562 version 4) in lower case. */
export function installUuid(L: LuaState): void {
  L.pushFunction((state) => {
    state.pushText(crypto.randomUUID());
    return 1;
  });
  L.setField(-2, "uuid");
}
