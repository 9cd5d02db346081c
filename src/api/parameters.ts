import { parseClientId } from "../client-id.ts";
import type { Payload } from "../hub/connection.ts";
import { nameError } from "../hub/name.ts";
import type { Json, JsonObject } from "../json.ts";
import { isJsonObject } from "../json.ts";
import { API_ERROR, ApiError, shown } from "./api-error.ts";
import { plainNumbers } from "./exact-json.ts";

export interface Sending {
  clientId: number;
  data: Payload;
}

export interface Publishing {
  channel: string;
  data: Payload;
}

export interface Calling {
  clientId: number;
  func: string;
  args: Json[];
}

function invalid(message: string): ApiError {
  return new ApiError(API_ERROR.parameters, message);
}

/** Reads params that are one object or an array of objects; `read` gets each with its name for messages. */
function readEach<T>(params: unknown, read: (entry: JsonObject, at: string) => T | ApiError): T[] | ApiError {
  if (!Array.isArray(params)) {
    if (!isJsonObject(params))
      return invalid(`params: expected an object or an array of objects, found ${shown(params)}`);
    const value = read(params, "params");
    return value instanceof ApiError ? value : [value];
  }
  if (params.length === 0) return invalid("params: expected one object or more, found an empty array");
  const values: T[] = [];
  for (let index = 0; index < params.length; index++) {
    const entry: unknown = params[index];
    if (!isJsonObject(entry)) return invalid(`params[${index}]: expected an object, found ${shown(entry)}`);
    const value = read(entry, `params[${index}]`);
    if (value instanceof ApiError) return value;
    values.push(value);
  }
  return values;
}

function clientIdOf({ client_id, c }: JsonObject, at: string): number | ApiError {
  const given = client_id ?? c;
  return (
    parseClientId(given) ??
    invalid(`${at}: client_id (c) is a client's id as a decimal string or an integer below 2^53, found ${shown(given)}`)
  );
}

/** `data` as it goes on the wire: a string as it is, base64 decoded with type `binary`, anything else as its JSON text. */
function payloadOf(entry: JsonObject, at: string): Payload | ApiError {
  const data = entry.data === undefined ? entry.d : entry.data;
  const type = entry.type ?? entry.t ?? "text";
  if (data === undefined) return invalid(`${at}: data (d) is missing`);
  if (type === "text") return typeof data === "string" ? data : JSON.stringify(data);
  if (type !== "binary") return invalid(`${at}: type (t) is "text" or "binary", found ${shown(type)}`);
  const bytes = typeof data === "string" ? decodeBase64(data) : undefined;
  return bytes ?? invalid(`${at}: with type "binary", data (d) is base64 (RFC 4648 section 4), found ${shown(data)}`);
}

function decodeBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
}

function readSending(entry: JsonObject, at: string): Sending | ApiError {
  const clientId = clientIdOf(entry, at);
  if (clientId instanceof ApiError) return clientId;
  const data = payloadOf(entry, at);
  return data instanceof ApiError ? data : { clientId, data };
}

function readPublishing(entry: JsonObject, at: string): Publishing | ApiError {
  const channel = entry.channel ?? entry.c;
  if (typeof channel !== "string") {
    return invalid(`${at}: channel (c) is the name of a channel, found ${shown(channel)}`);
  }
  const error = nameError("channel", channel);
  if (error !== undefined) return invalid(`${at}: channel (c): ${error}`);
  const data = payloadOf(entry, at);
  return data instanceof ApiError ? data : { channel, data };
}

function readCalling(entry: JsonObject, at: string): Calling | ApiError {
  const clientId = clientIdOf(entry, at);
  if (clientId instanceof ApiError) return clientId;
  const func = entry.func ?? entry.f;
  if (typeof func !== "string") return invalid(`${at}: func (f) is the name of a function, found ${shown(func)}`);
  const args = entry.args ?? entry.a ?? [];
  if (!Array.isArray(args)) return invalid(`${at}: args (a) is an array, found ${shown(args)}`);
  return { clientId, func, args: plainNumbers(args) as Json[] };
}

/** `{client_id, data, type?}` or `{c, d, t?}`, one or several. */
export function readSendings(params: unknown): Sending[] | ApiError {
  return readEach(params, readSending);
}

/** `{channel, data, type?}` or `{c, d, t?}`, one or several. */
export function readPublishings(params: unknown): Publishing[] | ApiError {
  return readEach(params, readPublishing);
}

/** `{client_id, func, args?}` or `{c, f, a?}`, one or several. */
export function readCallings(params: unknown): Calling[] | ApiError {
  return readEach(params, readCalling);
}

/** Topics to consume: `["foo","bar"]`, `{"t":["foo"]}`, `{"t":"foo"}` or an array of such; each topic once. */
export function readTopics(params: unknown): Set<string> | ApiError {
  const topics = new Set<string>();
  const wrong = (found: unknown) =>
    invalid(`params: expected topic names like ["foo"] or {"t":["foo"]}, found ${shown(found)}`);
  for (const entry of Array.isArray(params) ? params : [params]) {
    const names: unknown = isJsonObject(entry) ? entry.t : entry;
    for (const name of Array.isArray(names) ? names : [names]) {
      if (typeof name !== "string" || name === "") return wrong(params);
      topics.add(name);
    }
  }
  return topics.size === 0 ? wrong(params) : topics;
}

/** Params of a method that takes none: absent, `null`, `[]` or `{}`. */
export function readNothing(params: unknown): ApiError | undefined {
  if (params === undefined || params === null) return undefined;
  if (typeof params === "object" && Object.keys(params).length === 0) return undefined;
  return invalid(`params: expected none, found ${shown(params)}`);
}
