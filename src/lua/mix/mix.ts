import type { Budget } from "../budget.ts";
import type { ScriptHost } from "../host.ts";
import type { LuaState } from "../state.ts";
import { currentCallback } from "../wait.ts";
import { installBase64 } from "./base64.ts";
import { installBit } from "./bit.ts";
import { installBytes } from "./bytes.ts";
import { installDigest } from "./digest.ts";
import { installHttp } from "./http.ts";
import { installJson } from "./json.ts";
import { installLog } from "./log.ts";
import { installMesh } from "./mesh.ts";
import { installPhpPack } from "./php-pack.ts";
import { installQueue } from "./queue.ts";
import { installRedis } from "./redis.ts";
import type { RedisPools } from "./redis-pool.ts";
import { installServer } from "./server.ts";
import { installStr } from "./str.ts";
import { installTime } from "./time.ts";
import { installUrl } from "./url.ts";
import { installUuid } from "./uuid.ts";

/** Libraries of values and bytes, which need nothing but the VM. */
const PURE = [
  installBase64,
  installBytes,
  installDigest,
  installJson,
  installPhpPack,
  installTime,
  installUrl,
  installUuid,
];

/** Sets the globals `mix` and `bit`. Each installer adds its fields to the `mix` table on top of the stack. */
export function installMix(L: LuaState, host: ScriptHost, redis: RedisPools, budget: Budget): void {
  L.newTable();
  for (const install of PURE) install(L);
  installStr(L, (state) => budget.check(state));
  installLog(L, host);
  installServer(L, host);
  installQueue(L, host);
  installMesh(L, host);
  installRedis(L, redis);
  installHttp(L);

  L.pushFunction(connection);
  L.setField(-2, "websocket");
  L.newTable();
  L.pushFunction(connection);
  L.setField(-2, "tcp");
  L.setField(-2, "socket");
  L.nameFunctions("mix");
  L.setGlobal("mix");

  installBit(L);
}

/** `mix.websocket()` and `mix.socket.tcp()`: the connection object of the running callback; nil in `init`. */
function connection(L: LuaState): number {
  const callback = currentCallback();
  if (callback === undefined) L.pushNil();
  else callback.pushConnection(L);
  return 1;
}
