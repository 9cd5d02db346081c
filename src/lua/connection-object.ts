import { closeCodeAllowed } from "../hub/calls.ts";
import { Connection, type Failure } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import { anyArgument, isAbsent, nameArgument, shownArgument, tableArgument, textArgument } from "./arguments.ts";
import { pushContextValue, waitForContextValue } from "./context-wait.ts";
import { createMetatable } from "./metatable.ts";
import { readPayload } from "./payload.ts";
import type { StreamConnection } from "./script.ts";
import type { HostFunction, LuaState } from "./state.ts";
import { pushJson, readJson, readJsonObject } from "./values.ts";

/** Passes the value at `index` through the script's `protocol_encode`, for this connection. */
export type Encode = (L: LuaState, index: number, connection: Connection) => Uint8Array | { error: string };

/** Makes the metatable of connection objects; returns its reference. `encode` is given where the script frames its own stream. */
export function createConnectionType(L: LuaState, hub: Hub, encode?: Encode): number {
  const metatable = createMetatable(L, "connection", {
    ...METHODS,
    subscribe: (state) => {
      const connection = self(state);
      const channels = channelArguments(state);
      if ("error" in channels) return pushFailure(state, channels.error);
      return pushFailure(state, hub.subscribeAll(connection, channels));
    },
    unsubscribe: (state) => {
      const connection = self(state);
      const channels = channelArguments(state);
      if ("error" in channels) return pushFailure(state, channels.error);
      for (const channel of channels) hub.unsubscribe(connection, channel);
      return pushFailure(state, undefined);
    },
    set_context: (state) => {
      const connection = self(state);
      tableArgument(state, 2);
      const read = readJsonObject(state, 2);
      if ("error" in read) return pushFailure(state, read.error);
      for (const [key, value] of Object.entries(read.value)) hub.setContextValue(connection, key, value);
      return pushFailure(state, undefined);
    },
    /** Setting nil removes the key. */
    set_context_value: (state) => {
      const connection = self(state);
      const key = nameArgument(state, 2);
      if (typeof key === "object") return pushFailure(state, key.error);
      if (isAbsent(state, 3)) {
        if (connection.context !== undefined) delete connection.context[key];
        return pushFailure(state, undefined);
      }
      const read = readJson(state, 3);
      if ("error" in read) return pushFailure(state, read.error);
      hub.setContextValue(connection, key, read.value);
      return pushFailure(state, undefined);
    },
    ...(encode === undefined ? { send } : { send: sendEncoded(encode), clear_buffer }),
  });
  L.pushRef(metatable);
  L.pushFunction(refuseField);
  L.setField(-2, "__newindex");
  L.pop();
  return metatable;
}

/** `conn.name = value`, which other systems have for what the context is for here. */
function refuseField(L: LuaState): number {
  const name = shownArgument(L, 2);
  return L.error(`a connection has no field ${name}: conn:set_context_value(${name}, value) keeps a value with it`);
}

/** The connection a method was called on. */
function self(L: LuaState): Connection {
  const object = L.toUserdata(1);
  return object instanceof Connection ? object : L.argError(1, "connection expected: call it as conn:method()");
}

/** Ends a method that answers only why it failed: nil when it did not. */
function pushFailure(L: LuaState, failure: Failure): number {
  if (failure === undefined) L.pushNil();
  else L.pushText(failure);
  return 1;
}

function channelArguments(L: LuaState): string[] | { error: string } {
  const channels: string[] = [];
  for (let arg = 2, top = Math.max(2, L.getTop()); arg <= top; arg++) {
    const channel = nameArgument(L, arg);
    if (typeof channel === "object") return channel;
    channels.push(channel);
  }
  return channels;
}

function send(L: LuaState): number {
  const connection = self(L);
  const payload = readPayload(L, 2, 3);
  return pushFailure(L, typeof payload === "object" && "error" in payload ? payload.error : connection.write(payload));
}

function sendEncoded(encode: Encode): HostFunction {
  return (L) => {
    const connection = self(L);
    anyArgument(L, 2);
    const encoded = encode(L, 2, connection);
    return pushFailure(L, "error" in encoded ? encoded.error : connection.write(encoded));
  };
}

function clear_buffer(L: LuaState): number {
  (self(L) as StreamConnection).buffer.clear();
  return 0;
}

const METHODS: Record<string, HostFunction> = {
  client_id(L) {
    L.pushText(String(self(L).id));
    return 1;
  },
  remote_addr(L) {
    L.pushText(self(L).remoteAddr);
    return 1;
  },
  context(L) {
    const { context } = self(L);
    // Not marked as an object: an empty context encodes as [], which backends know from the original system.
    if (context === undefined) {
      L.newTable();
      return 1;
    }
    const failure = pushJson(L, context);
    return failure === undefined ? 1 : 1 + pushFailure(L, failure);
  },
  context_value(L) {
    return pushContextValue(L, self(L), textArgument(L, 2));
  },
  wait_context_value(L) {
    const connection = self(L);
    const key = textArgument(L, 2);
    if (isAbsent(L, 3)) return waitForContextValue(L, connection, key);
    const seconds = L.toNumber(3);
    if (seconds === undefined || !(seconds >= 0)) L.argError(3, `seconds expected, got ${shownArgument(L, 3)}`);
    return waitForContextValue(L, connection, key, seconds);
  },
  channels(L) {
    const { channels } = self(L);
    L.newTable();
    let i = 0;
    for (const channel of channels ?? []) {
      L.pushText(channel);
      L.rawSetIndex(-2, ++i);
    }
    return 1;
  },
  close(L) {
    const connection = self(L);
    const code = isAbsent(L, 2) ? 1000 : L.toNumber(2);
    if (!closeCodeAllowed(code)) {
      const expected = "a close code expected: 1000, 1001, 1003, 1007 to 1014 or 3000 to 4999";
      return L.argError(2, `${expected}, got ${shownArgument(L, 2)}`);
    }
    const reason = isAbsent(L, 3) ? "" : textArgument(L, 3);
    connection.close(code, reason);
    return pushFailure(L, undefined);
  },
};
