import type { Json } from "../json.ts";
import { isJsonObject } from "../json.ts";
import type { Connection } from "./connection.ts";
import { type Hub, noClient } from "./hub.ts";

/** What a function answered: a value (`undefined` for those that only act), or why it failed. */
export interface CallResult {
  value?: Json;
  error?: string;
}

type ConnectionFunction = (hub: Hub, connection: Connection, args: Json[]) => CallResult;

function found(value: Json | undefined): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function strings(args: Json[], func: string): string[] | { error: string } {
  const names: string[] = [];
  for (const arg of args) {
    if (typeof arg !== "string") return { error: `${func}: expected channel names as strings, found ${found(arg)}` };
    names.push(arg);
  }
  if (names.length === 0) return { error: `${func}: expected one or more channel names, found none` };
  return names;
}

const FUNCTIONS: Record<string, ConnectionFunction> = {
  set_context_value(hub, connection, args) {
    const [key, value] = args;
    if (typeof key !== "string" || value === undefined) {
      return { error: `set_context_value: expected [key as a string, value], found ${found(args)}` };
    }
    hub.setContextValue(connection, key, value);
    return {};
  },
  set_context(hub, connection, args) {
    const values = args[0];
    if (!isJsonObject(values)) return { error: `set_context: expected one object, found ${found(values)}` };
    for (const [key, value] of Object.entries(values)) hub.setContextValue(connection, key, value);
    return {};
  },
  subscribe(hub, connection, args) {
    const names = strings(args, "subscribe");
    if ("error" in names) return names;
    const failure = hub.subscribeAll(connection, names);
    return failure === undefined ? {} : { error: `subscribe: ${failure}` };
  },
  unsubscribe(hub, connection, args) {
    const names = strings(args, "unsubscribe");
    if ("error" in names) return names;
    for (const name of names) hub.unsubscribe(connection, name);
    return {};
  },
  context(_hub, connection) {
    return { value: connection.context ?? {} };
  },
  channels(_hub, connection) {
    return { value: [...(connection.channels ?? [])] };
  },
  close(_hub, connection, args) {
    const [code, reason] = args;
    const valid = code === undefined || code === null || closeCodeAllowed(code);
    if (!valid || (reason !== undefined && reason !== null && typeof reason !== "string")) {
      return {
        error: `close: expected [code? (1000, 1001, 1003, 1007 to 1014 or 3000 to 4999), reason? (string)], found ${found(args)}`,
      };
    }
    connection.close(typeof code === "number" ? code : 1000, typeof reason === "string" ? reason : "");
    return {};
  },
};

/** The close codes an endpoint may send (RFC 6455 section 7.4 and the IANA registry). */
export function closeCodeAllowed(code: unknown): code is number {
  if (typeof code !== "number" || !Number.isInteger(code)) return false;
  return (
    code === 1000 || code === 1001 || code === 1003 || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)
  );
}

export const CONNECTION_FUNCTIONS = Object.keys(FUNCTIONS);

/** Runs one of the `conn.call` functions on a connection of this node. */
export function callConnection(hub: Hub, id: number, func: string, args: Json[]): CallResult {
  const connection = hub.get(id);
  if (connection === undefined) return { error: noClient(id) };
  const run = Object.hasOwn(FUNCTIONS, func) ? FUNCTIONS[func] : undefined;
  if (run === undefined) {
    return { error: `no function "${func}" on a connection, expected one of ${CONNECTION_FUNCTIONS.join(", ")}` };
  }
  return run(hub, connection, args);
}
