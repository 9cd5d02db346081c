import { messageOf } from "../errors.ts";
import { isJsonObject } from "../json.ts";
import { API_ERROR, ApiError, shown } from "./api-error.ts";
import type { Dialect } from "./dialects.ts";
import { parseExact } from "./exact-json.ts";

/** One request, whatever its transport. */
export interface ApiRequest {
  dialect: Dialect;
  /** The request's id as JSON text, exactly as it was written; `null` when it had none. */
  id: string;
  /** Name of the method, or why this is no request. */
  method: string | ApiError;
  params: unknown;
}

/** A request that could not be read; executing it answers error 100. */
export function unreadable(message: string, dialect: Dialect = "long", id = "null"): ApiRequest {
  return { dialect, id, method: new ApiError(API_ERROR.request, message), params: undefined };
}

function idText(id: unknown): string {
  if (Number.isSafeInteger(id)) return `${id}`;
  return id === undefined ? "null" : JSON.stringify(id);
}

/** Reads one request object; what is no request comes back as one that is answered with error 100. */
export function readRequest(value: unknown): ApiRequest {
  if (!isJsonObject(value)) {
    return unreadable(
      `expected a request object like {"method":"server.ping","params":[],"id":1}, found ${shown(value)}`,
    );
  }
  const { method, params, id, m, p, i } = value;
  if (typeof method === "string") return { dialect: "long", id: idText(id ?? i), method, params: params ?? p };
  if (method === undefined && typeof m === "string") {
    return { dialect: "short", id: idText(i ?? id), method: m, params: p ?? params };
  }
  const dialect = method === undefined && m !== undefined ? "short" : "long";
  const key = dialect === "short" ? "m" : "method";
  return unreadable(`${key}: expected the name of a method, found ${shown(method ?? m)}`, dialect, idText(id ?? i));
}

/** Reads a frame: one request, or an array of them. */
export function parseRequests(text: string): ApiRequest | ApiRequest[] {
  let value: unknown;
  try {
    value = parseExact(text);
  } catch (error) {
    return unreadable(`expected a request as JSON, found ${shown(text)}: ${messageOf(error)}`);
  }
  if (!Array.isArray(value)) return readRequest(value);
  return value.length === 0 ? unreadable("expected a request, found an empty array") : value.map(readRequest);
}
