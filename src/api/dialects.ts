import type { Json } from "../json.ts";
import type { ApiError } from "./api-error.ts";

/** Two spellings of one protocol; a reply is in the dialect of its request, an event in that of its consume request. */
export type Dialect = "long" | "short";

/** How many deliveries were meant, and how many of them failed. */
export interface Count {
  total: number;
  fail: number;
}

/** Reply to a request; `result` and `id` are JSON texts. */
export function resultReply(dialect: Dialect, result: string, id: string): string {
  return dialect === "long" ? `{"error":null,"result":${result},"id":${id}}` : `{"E":null,"r":${result},"i":${id}}`;
}

/** Reply to a request that failed; `id` is JSON text. */
export function errorReply(dialect: Dialect, error: ApiError, id: string): string {
  const message = JSON.stringify(error.message);
  return dialect === "long"
    ? `{"error":{"code":${error.code},"message":${message}},"id":${id}}`
    : `{"E":{"c":${error.code},"m":${message}},"i":${id}}`;
}

/** The HTTP body of a result: as on the WebSocket, without an id. */
export function resultBody(dialect: Dialect, result: string): string {
  return dialect === "long" ? `{"error":null,"result":${result}}` : `{"E":null,"r":${result}}`;
}

/** The HTTP body of an API error: as on the WebSocket, without an id. */
export function errorBody(dialect: Dialect, error: ApiError): string {
  const message = JSON.stringify(error.message);
  return dialect === "long"
    ? `{"error":{"code":${error.code},"message":${message}}}`
    : `{"E":{"c":${error.code},"m":${message}}}`;
}

const PONG = { long: '{"status":"server.pong"}', short: '{"s":"server.pong"}' };
const SUCCESS = { long: '{"success":true}', short: '{"s":true}' };
const SENT_ONE = { long: '{"fail":0,"success":true,"total":1}', short: '{"s":true,"f":0,"t":1}' };

export function pongResult(dialect: Dialect): string {
  return PONG[dialect];
}

export function successResult(dialect: Dialect): string {
  return SUCCESS[dialect];
}

/** `success` is true when at least one was sent; a send of which nothing went out is an error instead. */
export function sendResult(dialect: Dialect, { total, fail }: Count): string {
  if (total === 1 && fail === 0) return SENT_ONE[dialect];
  return dialect === "long"
    ? `{"fail":${fail},"success":${fail < total},"total":${total}}`
    : `{"s":${fail < total},"f":${fail},"t":${total}}`;
}

/** In the long dialect `success` is false only when there were subscribers and none was reached; in the short one `s` counts. */
export function publishResult(dialect: Dialect, { total, fail }: Count): string {
  return dialect === "long"
    ? `{"fail":${fail},"success":${total === 0 || fail < total},"total":${total}}`
    : `{"s":${total - fail},"f":${fail},"t":${total}}`;
}

/** `value` is what the function answered; undefined for functions that only act. */
export function callResult(dialect: Dialect, value: Json | undefined): string {
  if (value === undefined) return SUCCESS[dialect];
  const text = JSON.stringify(value);
  return dialect === "long" ? `{"success":true,"value":${text}}` : `{"s":true,"v":${text}}`;
}

/** The parts of a topic's events around node id, client id and data, made once for each consumed topic. */
export interface EventFrame {
  readonly dialect: Dialect;
  readonly beforeData: string;
}

export function eventFrame(dialect: Dialect, topic: string): EventFrame {
  const name = JSON.stringify(topic);
  return { dialect, beforeData: dialect === "long" ? `","queue":${name},"data":` : `","t":${name},"d":` };
}

/** `data` is JSON text. */
export function eventText(frame: EventFrame, nodeId: string, clientId: number, data: string): string {
  return frame.dialect === "long"
    ? `{"event":"queue.consume","result":{"client_id":"${clientId}${frame.beforeData}${data}},"id":null}`
    : `{"e":"queue.pop","p":{"n":"${nodeId}","c":"${clientId}${frame.beforeData}${data}},"id":null}`;
}
