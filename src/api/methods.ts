import type { CallResult } from "../hub/calls.ts";
import type { Failure } from "../hub/connection.ts";
import type { PublishCount } from "../hub/hub.ts";
import type { Json } from "../json.ts";
import type { Operations, Soon } from "../mesh/operations.ts";
import type { Grant, Role } from "./access.ts";
import { API_ERROR, ApiError } from "./api-error.ts";
import type { ApiConsumer } from "./consumer.ts";
import type { Count, Dialect } from "./dialects.ts";
import {
  callResult,
  errorReply,
  pongResult,
  publishResult,
  resultReply,
  sendResult,
  successResult,
} from "./dialects.ts";
import {
  type Calling,
  type Publishing,
  readCallings,
  readNothing,
  readPublishings,
  readSendings,
  readTopics,
  type Sending,
} from "./parameters.ts";
import type { ApiRequest } from "./request.ts";

/** Who asks, and what its requests act on. */
export interface Caller {
  grant: Grant;
  readonly operations: Operations;
  /** Takes this caller's queue events; undefined on HTTP, where there is nobody to send events to. */
  readonly consumer: ApiConsumer | undefined;
}

interface Method {
  role: Role;
  /** True when later requests of the same connection may depend on its effect, so they wait for its answer. */
  barrier: boolean;
  /** The result as JSON text in the request's dialect, or why it failed. */
  run(params: unknown, dialect: Dialect, caller: Caller): Soon<string | ApiError>;
}

function isPromise<T>(value: Soon<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** Applies `use` at once when the value is there, and later when it is not. */
function whenReady<T, R>(value: Soon<T>, use: (value: T) => R): Soon<R> {
  return isPromise(value) ? value.then(use) : use(value);
}

const ONE_SENT: Count = { total: 1, fail: 0 };

function oneSent(failure: Failure): Count | ApiError {
  return failure === undefined ? ONE_SENT : new ApiError(API_ERROR.send, failure);
}

function sendError(failures: Failure[], total: number): ApiError {
  const reasons = failures.filter((failure) => failure !== undefined);
  const [first] = reasons;
  return new ApiError(API_ERROR.send, total === 1 ? first! : `none of ${total} could be sent; the first: ${first}`);
}

/**
 * Sends each entry, in order. A send that fails is counted; when every one failed (one that was alone, too) the result is error
 * 401 with the reason.
 */
export function sendAll(operations: Operations, entries: Sending[]): Soon<Count | ApiError> {
  if (entries.length === 1) return whenReady(operations.send(entries[0]!.clientId, entries[0]!.data), oneSent);
  const failures = entries.map(({ clientId, data }) => operations.send(clientId, data));
  return whenReady(allOf(failures), (settled) => {
    const fail = settled.filter((failure) => failure !== undefined).length;
    return fail === settled.length ? sendError(settled, settled.length) : { total: settled.length, fail };
  });
}

/** Publishes each entry, in order; the counts of all are added up. */
export function publishAll(operations: Operations, entries: Publishing[]): Soon<Count> {
  if (entries.length === 1) return operations.publish(entries[0]!.channel, entries[0]!.data);
  const counts: Soon<PublishCount>[] = entries.map(({ channel, data }) => operations.publish(channel, data));
  return whenReady(allOf(counts), (settled) => ({
    total: settled.reduce((sum, { total }) => sum + total, 0),
    fail: settled.reduce((sum, { fail }) => sum + fail, 0),
  }));
}

/**
 * Runs each entry after the one before it has been answered. All are carried out; if one failed the result is error 301, which
 * says which. The value is what the function answered; for several entries an array of their answers, `null` for those without.
 */
export function callAll(operations: Operations, entries: Calling[]): Soon<{ value: Json | undefined } | ApiError> {
  if (entries.length > 1) return callInTurn(operations, entries);
  const { clientId, func, args } = entries[0]!;
  return whenReady(operations.call(clientId, func, args), ({ value, error }) =>
    error === undefined ? { value } : new ApiError(API_ERROR.call, error),
  );
}

async function callInTurn(operations: Operations, entries: Calling[]): Promise<{ value: Json | undefined } | ApiError> {
  const results: CallResult[] = [];
  for (const { clientId, func, args } of entries) results.push(await operations.call(clientId, func, args));
  const failures = results.flatMap(({ error }, index) => (error === undefined ? [] : [`params[${index}]: ${error}`]));
  if (failures.length > 0) {
    return new ApiError(API_ERROR.call, `${failures.length} of ${entries.length} failed: ${failures.join("; ")}`);
  }
  const answered = results.some(({ value }) => value !== undefined);
  return { value: answered ? results.map(({ value }) => value ?? null) : undefined };
}

function allOf<T>(values: Soon<T>[]): Soon<T[]> {
  return values.some(isPromise) ? Promise.all(values) : (values as T[]);
}

const consume: Method = {
  role: "write",
  barrier: false,
  run(params, dialect, { consumer }) {
    const topics = readTopics(params);
    if (topics instanceof ApiError) return topics;
    if (consumer === undefined) return new ApiError(API_ERROR.consume, "events need a WebSocket: consume at /ws/v1");
    return consumer.consume(topics, dialect) ?? successResult(dialect);
  },
};

/** Stops all topics; with none consumed it has nothing to do, which is a success. */
const unconsume: Method = {
  role: "write",
  barrier: false,
  run(params, dialect, { consumer }) {
    const unexpected = readNothing(params);
    if (unexpected !== undefined) return unexpected;
    if (consumer === undefined) return new ApiError(API_ERROR.unconsume, "nothing can be consumed by HTTP: use /ws/v1");
    consumer.unconsumeAll();
    return successResult(dialect);
  },
};

const METHODS = new Map<string, Method>([
  ["server.ping", { role: "read", barrier: false, run: (_params, dialect) => pongResult(dialect) }],
  ["queue.consume", consume],
  ["queue.pop", consume],
  ["queue.unconsume", unconsume],
  ["queue.unpop", unconsume],
  [
    "conn.call",
    {
      role: "write",
      barrier: true,
      run(params, dialect, { operations }) {
        const entries = readCallings(params);
        if (entries instanceof ApiError) return entries;
        return whenReady(callAll(operations, entries), (result) =>
          result instanceof ApiError ? result : callResult(dialect, result.value),
        );
      },
    },
  ],
  [
    "mesh.send",
    {
      role: "write",
      barrier: false,
      run(params, dialect, { operations }) {
        const entries = readSendings(params);
        if (entries instanceof ApiError) return entries;
        return whenReady(sendAll(operations, entries), (count) =>
          count instanceof ApiError ? count : sendResult(dialect, count),
        );
      },
    },
  ],
  [
    "mesh.publish",
    {
      role: "write",
      barrier: false,
      run(params, dialect, { operations }) {
        const entries = readPublishings(params);
        if (entries instanceof ApiError) return entries;
        return whenReady(publishAll(operations, entries), (count) => publishResult(dialect, count));
      },
    },
  ],
]);

const METHOD_NAMES = [...METHODS.keys()].join(", ");

/** Whether the requests after this one have to wait until it is answered. */
export function isBarrier({ method }: ApiRequest): boolean {
  return typeof method === "string" && METHODS.get(method)?.barrier === true;
}

/** Carries out one request; the result is its reply as JSON text, at once unless another engine has to answer first. */
export function execute(request: ApiRequest, caller: Caller): Soon<string> {
  const outcome = outcomeOf(request, caller);
  return isPromise(outcome) ? outcome.then((settled) => replyTo(request, settled)) : replyTo(request, outcome);
}

/** The reply to a request whose own was lost to an error of this program. */
export function internalErrorReply({ dialect, id }: ApiRequest): string {
  return errorReply(dialect, new ApiError(API_ERROR.internal, "internal error: see the log of this engine"), id);
}

function replyTo({ dialect, id }: ApiRequest, outcome: string | ApiError): string {
  return typeof outcome === "string" ? resultReply(dialect, outcome, id) : errorReply(dialect, outcome, id);
}

function outcomeOf({ method: name, params, dialect }: ApiRequest, caller: Caller): Soon<string | ApiError> {
  if (typeof name !== "string") return name;
  const method = METHODS.get(name);
  if (method === undefined) {
    return new ApiError(API_ERROR.request, `no method "${name.slice(0, 80)}", expected one of ${METHOD_NAMES}`);
  }
  if (!caller.grant[method.role]) {
    return new ApiError(API_ERROR.role, `${name} needs the role ${method.role}, which this user does not have`);
  }
  return method.run(params, dialect, caller);
}
