import { parseClientId } from "../../client-id.ts";
import type { Failure } from "../../hub/connection.ts";
import type { PublishCount } from "../../hub/hub.ts";
import { nameError } from "../../hub/name.ts";
import type { Soon } from "../../mesh/operations.ts";
import { nameArgument, shownArgument, textArgument } from "../arguments.ts";
import type { ScriptHost } from "../host.ts";
import { readPayload } from "../payload.ts";
import type { LuaState } from "../state.ts";
import { wait } from "../wait.ts";

/**
 * `mix.mesh.send(client_id, data [, type])` → err; `mix.mesh.publish(channel, data [, type])` → success, fail. They suspend the
 * callback only when another engine has to answer.
 */
export function installMesh(L: LuaState, host: ScriptHost): void {
  const { operations } = host;
  L.newTable();
  L.pushFunction((state) => {
    const id = parseClientId(state.type(1) === "number" ? state.toNumber(1) : textArgument(state, 1));
    if (id === undefined) return pushSent(state, `not a client id: ${shownArgument(state, 1)}`);
    const payload = readPayload(state, 2, 3);
    if (typeof payload === "object" && "error" in payload) return pushSent(state, payload.error);
    return soon(state, operations.send(id, payload), pushSent);
  });
  L.setField(-2, "send");
  L.pushFunction((state) => {
    const channel = nameArgument(state, 1);
    if (typeof channel === "object") return pushUnpublished(state, channel.error);
    const error = nameError("channel", channel);
    if (error !== undefined) return pushUnpublished(state, error);
    const payload = readPayload(state, 2, 3);
    if (typeof payload === "object" && "error" in payload) return pushUnpublished(state, payload.error);
    return soon(state, operations.publish(channel, payload), pushPublished);
  });
  L.setField(-2, "publish");
  L.nameFunctions("mix.mesh");
  L.setField(-2, "mesh");
}

function soon<T>(L: LuaState, result: Soon<T>, push: (L: LuaState, value: T) => number): number {
  if (!(result instanceof Promise)) return push(L, result);
  return wait(L, (done) => {
    result.then((value) => done((state) => push(state, value)));
    return undefined;
  });
}

function pushSent(L: LuaState, failure: Failure): number {
  if (failure === undefined) L.pushNil();
  else L.pushText(failure);
  return 1;
}

function pushUnpublished(L: LuaState, error: string): number {
  L.pushNil();
  L.pushNil();
  L.pushText(error);
  return 3;
}

/** How many subscribers it was handed to, and how many of all it could not be. */
function pushPublished(L: LuaState, count: PublishCount): number {
  L.pushNumber(count.total - count.fail);
  L.pushNumber(count.fail);
  return 2;
}
