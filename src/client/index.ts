/** `connmix/client`: the public face of the client library; everything else in this folder is its inside. */
export { type BatchResult, Client, type ClientOptions, type HandlerOptions, type PublishCount } from "./client.ts";
export type { QueueEvent } from "./connection.ts";
export type { ConsumeOptions, Consumer } from "./consumer.ts";
export type { Node } from "./discovery.ts";
export { ConnmixError, type ErrorCode } from "./error.ts";
export type { BatchEntry, ClientId, Data } from "./request.ts";
