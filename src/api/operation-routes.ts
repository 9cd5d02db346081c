import { messageOf } from "../errors.ts";
import { isJsonObject } from "../json.ts";
import type { Operations } from "../mesh/operations.ts";
import type { Grant } from "./access.ts";
import { API_ERROR, ApiError, shown } from "./api-error.ts";
import {
  callResult,
  type Dialect,
  errorBody,
  publishResult,
  resultBody,
  sendResult,
  successResult,
} from "./dialects.ts";
import { parseExact } from "./exact-json.ts";
import { jsonResponse, type Route, readBody } from "./http.ts";
import { callAll, execute, isBarrier, publishAll, sendAll } from "./methods.ts";
import { readCallings, readPublishings, readSendings } from "./parameters.ts";
import { readRequest } from "./request.ts";

const LONG_KEYS = ["client_id", "channel", "data", "type", "func", "args"];

/** The dialect of a body without an envelope: long when any of its keys is, short otherwise. */
function dialectOf(body: unknown): Dialect {
  const first: unknown = Array.isArray(body) ? body[0] : body;
  return isJsonObject(first) && LONG_KEYS.some((key) => key in first) ? "long" : "short";
}

/** The parsed JSON body, or the response to give instead. */
async function readJson(request: Request, limit: number): Promise<{ body: unknown } | Response> {
  const text = await readBody(request, limit);
  if (text instanceof Response) return text;
  try {
    return { body: parseExact(text) };
  } catch (error) {
    const message = `expected a body of JSON, found ${shown(text)}: ${messageOf(error)}`;
    return jsonResponse(errorBody("short", new ApiError(API_ERROR.request, message)), 400);
  }
}

/** `run` gives the result as JSON text, or why it failed. */
function operation(
  path: string,
  limit: () => number,
  run: (body: unknown, dialect: Dialect) => Promise<string | ApiError>,
): Route {
  return {
    path,
    method: "POST",
    role: "write",
    async handle(request) {
      const json = await readJson(request, limit());
      if (json instanceof Response) return json;
      const dialect = dialectOf(json.body);
      const outcome = await run(json.body, dialect);
      return jsonResponse(typeof outcome === "string" ? resultBody(dialect, outcome) : errorBody(dialect, outcome));
    },
  };
}

/**
 * The HTTP API; `bodyLimit` in bytes. A body is what would be `params` on the WebSocket: one object, or an array of them, in either dialect. An API
 * error is status 200 with the error set. Short results of a single send or publish leave out what is plain: `{"s":true}`,
 * `{"s":9,"f":0}`; those of an array have all counts, as on the WebSocket.
 */
export function operationRoutes(operations: Operations, bodyLimit: () => number): Route[] {
  return [
    operation("/v1/mesh/send", bodyLimit, async (body, dialect) => {
      const entries = readSendings(body);
      if (entries instanceof ApiError) return entries;
      const count = await sendAll(operations, entries);
      if (count instanceof ApiError) return count;
      return dialect === "short" && !Array.isArray(body) ? successResult(dialect) : sendResult(dialect, count);
    }),
    operation("/v1/mesh/publish", bodyLimit, async (body, dialect) => {
      const entries = readPublishings(body);
      if (entries instanceof ApiError) return entries;
      const count = await publishAll(operations, entries);
      return dialect === "short" && !Array.isArray(body)
        ? `{"s":${count.total - count.fail},"f":${count.fail}}`
        : publishResult(dialect, count);
    }),
    operation("/v1/conn/call", bodyLimit, async (body, dialect) => {
      const entries = readCallings(body);
      if (entries instanceof ApiError) return entries;
      const result = await callAll(operations, entries);
      return result instanceof ApiError ? result : callResult(dialect, result.value);
    }),
    {
      path: "/v1/batch",
      method: "POST",
      role: "write",
      async handle(request, grant) {
        const json = await readJson(request, bodyLimit());
        if (json instanceof Response) return json;
        return jsonResponse(await batch(operations, grant!, json.body));
      },
    },
  ];
}

/** Carries out an array of requests as a WebSocket would, in order; the reply is the array of their replies, in that order. */
async function batch(operations: Operations, grant: Grant, body: unknown): Promise<string> {
  if (!Array.isArray(body)) {
    return errorBody("short", new ApiError(API_ERROR.request, `expected an array of requests, found ${shown(body)}`));
  }
  const caller = { grant, operations, consumer: undefined };
  const replies: (string | Promise<string>)[] = [];
  for (const item of body) {
    const request = readRequest(item);
    const reply = execute(request, caller);
    replies.push(isBarrier(request) ? await reply : reply);
  }
  return `[${(await Promise.all(replies)).join(",")}]`;
}
