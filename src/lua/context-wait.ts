import type { Connection } from "../hub/connection.ts";
import { Client } from "./client.ts";
import type { HostFunction, LuaState } from "./state.ts";
import { pushJson } from "./values.ts";
import { type Done, wait } from "./wait.ts";

/** setTimeout counts milliseconds in 31 bits; more would fire at once. */
const LONGEST_WAIT = 2 ** 31 - 1;

export interface ContextWait {
  key: string;
  done: Done;
  timer: Timer | undefined;
}

/**
 * `conn:wait_context_value(key [, seconds])`: the value at once when the key is set, otherwise as soon as it is. To be returned
 * from a host function.
 */
export function waitForContextValue(L: LuaState, connection: Connection, key: string, seconds?: number): number {
  if (hasKey(connection, key)) return pushContextValue(L, connection, key);
  const client = connection.script;
  if (!(client instanceof Client) || client.disconnected) return pushFailure(L, "the connection has closed");
  return wait(L, (done) => {
    const entry: ContextWait = { key, done, timer: undefined };
    if (seconds !== undefined)
      entry.timer = setTimeout(expire, Math.min(seconds * 1000, LONGEST_WAIT), client, entry, seconds);
    client.contextWaits ??= [];
    client.contextWaits.push(entry);
    return () => drop(client, entry);
  });
}

/** A value of the connection's context has been set: whoever waits for it goes on. */
export function wakeContextWaits(connection: Connection, key: string): void {
  const client = connection.script;
  if (!(client instanceof Client) || client.contextWaits === undefined) return;
  const ready = client.contextWaits.filter((entry) => entry.key === key);
  for (const entry of ready) {
    drop(client, entry);
    finish(entry, (L) => pushContextValue(L, connection, key));
  }
}

/** Ends every wait for a value of this connection, which has closed. */
export function endContextWaits(client: Client): void {
  const waits = client.contextWaits;
  client.contextWaits = undefined;
  for (const entry of waits ?? []) finish(entry, (L) => pushFailure(L, "the connection has closed"));
}

export function pushContextValue(L: LuaState, connection: Connection, key: string): number {
  if (!hasKey(connection, key)) {
    L.pushNil();
    return 1;
  }
  const failure = pushJson(L, connection.context![key]!);
  if (failure === undefined) return 1;
  L.pushText(failure);
  return 2;
}

function hasKey(connection: Connection, key: string): boolean {
  return connection.context !== undefined && Object.hasOwn(connection.context, key);
}

function expire(client: Client, entry: ContextWait, seconds: number): void {
  drop(client, entry);
  finish(entry, (L) => pushFailure(L, `"${entry.key}" was not set within ${seconds} s`));
}

function drop(client: Client, entry: ContextWait): void {
  clearTimeout(entry.timer);
  const left = client.contextWaits?.filter((other) => other !== entry);
  client.contextWaits = left === undefined || left.length === 0 ? undefined : left;
}

function finish(entry: ContextWait, results: HostFunction): void {
  clearTimeout(entry.timer);
  entry.done(results);
}

function pushFailure(L: LuaState, message: string): number {
  L.pushNil();
  L.pushText(message);
  return 2;
}
