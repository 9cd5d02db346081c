import { base64 } from "./websocket.ts";

/** A client's id as events carry it; ids are below 2^53, so a number is exact too. */
export type ClientId = string | number;

/** A string is sent as a text message, bytes as a binary one, any other value as its JSON text. */
export type Data = string | Uint8Array | object | number | boolean | null;

/** One request of a batch. */
export type BatchEntry =
  | { send: ClientId; data: Data }
  | { publish: string; data: Data }
  | { call: ClientId; func: string; args?: unknown[] };

/** A request of the API's long dialect. */
export interface ApiRequest {
  method: string;
  params: unknown[];
}

export function sendRequest(clientId: ClientId, data: Data): ApiRequest {
  return { method: "mesh.send", params: [{ client_id: clientId, ...payload(data) }] };
}

export function publishRequest(channel: string, data: Data): ApiRequest {
  return { method: "mesh.publish", params: [{ channel, ...payload(data) }] };
}

export function callRequest(clientId: ClientId, func: string, args: unknown[]): ApiRequest {
  return { method: "conn.call", params: [{ client_id: clientId, func, args }] };
}

export function batchRequest(entry: BatchEntry): ApiRequest {
  if ("send" in entry) return sendRequest(entry.send, entry.data);
  if ("publish" in entry) return publishRequest(entry.publish, entry.data);
  return callRequest(entry.call, entry.func, entry.args ?? []);
}

function payload(data: Data): { data: Data; type?: "binary" } {
  return data instanceof Uint8Array ? { data: base64(data), type: "binary" } : { data };
}

/** What a called function answered, beyond that it succeeded. */
export function valueIn(result: unknown): unknown {
  return (result as { value?: unknown } | null)?.value;
}
