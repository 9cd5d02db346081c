import { type CallResult, callConnection } from "../hub/calls.ts";
import type { Hub } from "../hub/hub.ts";
import type { Json } from "../json.ts";
import { isJsonObject } from "../json.ts";
import { FrameError, type FrameReader, FrameType } from "./frame.ts";
import type { Link } from "./link.ts";

/** Carries out what peers ask for on this engine's own clients. Nothing is passed on from here to another engine. */
export class Responder {
  readonly #hub: Hub;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** False for a frame that is no request. */
  receive(link: Link, type: number, body: FrameReader): boolean {
    if (type === FrameType.publish) this.#publish(link, body);
    else if (type === FrameType.send) this.#send(link, body);
    else if (type === FrameType.call) this.#call(link, body);
    else return false;
    // A peer that asks and asks but never reads the answers.
    if (!link.hasRoom(0)) link.close(`it does not keep up, ${link.writer.waiting} bytes wait`);
    return true;
  }

  #publish(link: Link, body: FrameReader): void {
    const request = body.number();
    const { total, fail } = this.#hub.publish(body.string(), body.payload());
    link.writer.begin(FrameType.publishAnswer);
    link.writer.number(request);
    link.writer.number(total);
    link.writer.number(fail);
    link.finish();
  }

  #send(link: Link, body: FrameReader): void {
    const request = body.number();
    const failure = this.#hub.send(body.number(), body.payload());
    link.writer.begin(FrameType.sendAnswer);
    link.writer.number(request);
    if (failure !== undefined) link.writer.text(failure);
    link.finish();
  }

  #call(link: Link, body: FrameReader): void {
    const request = body.number();
    const result = callConnection(this.#hub, body.number(), body.string(), readArguments(body.text()));
    if (answerCall(link, request, JSON.stringify(result))) return;
    answerCall(link, request, JSON.stringify({ error: `the result is larger than ${link.writer.maxFrame} bytes` }));
  }
}

function answerCall(link: Link, request: number, result: string): boolean {
  link.writer.begin(FrameType.callAnswer);
  link.writer.number(request);
  link.writer.text(result);
  return link.finish();
}

function readArguments(text: string): Json[] {
  const args = readJson(text);
  if (!Array.isArray(args)) throw new FrameError("the arguments of a call are no array");
  return args;
}

/** Reads the answer to a call. */
export function readCallResult(text: string): CallResult {
  const result = readJson(text);
  if (!isJsonObject(result)) throw new FrameError("the result of a call is no object");
  const { value, error } = result;
  if (typeof error === "string") return { error };
  return value === undefined ? {} : { value };
}

function readJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new FrameError("JSON expected in a frame");
  }
}
