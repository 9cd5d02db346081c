import type { ServerWebSocket } from "bun";
import type { Operations } from "../mesh/operations.ts";
import type { Grant } from "./access.ts";
import { ApiConsumer, type EventSink } from "./consumer.ts";
import { type Caller, execute, isBarrier } from "./methods.ts";
import { type ApiRequest, parseRequests, unreadable } from "./request.ts";

/** Bytes of requests that may wait behind an unanswered `conn.call`. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const PAUSE_EVENTS_BYTES = 256 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface SessionLimits {
  /** Seconds without bytes from the client, pings included, before it is closed; 0 for no limit. */
  readTimeout: number;
  /** Seconds the client may take no bytes while some wait for it; 0 for no limit. */
  writeTimeout: number;
  /** Largest request in bytes. */
  readBufferSize: number;
  /** Most bytes that may wait for the client. */
  writeBufferSize: number;
}

export type ApiSocket = ServerWebSocket<Session>;

/**
 * One client of the WebSocket API. Requests take effect in the order they were sent: one behind a `conn.call` that another
 * engine has to answer waits for that answer, so that a publish sees the subscription made just before it. Everything else is
 * not waited for, so replies that depend on a slow engine may come after later ones.
 */
export class Session implements Caller, EventSink {
  readonly consumer: ApiConsumer;
  /** When the client last sent bytes; milliseconds of `performance.now()`. */
  lastRead = performance.now();
  /** Since when bytes wait for the client without any progress (`performance.now()`); 0 when none do. */
  blockedSince = 0;
  #socket: ApiSocket | undefined;
  #busy = false;
  #waiting: { request: ApiRequest; bytes: number }[] = [];
  #waitingRequestBytes = 0;

  constructor(
    readonly operations: Operations,
    readonly address: string,
    public grant: Grant,
    readonly limits: SessionLimits,
    /** Called when the client does not keep up; `reason` says with what. The receiver closes it. */
    readonly onSlow: (session: Session, reason: string) => void,
  ) {
    this.consumer = new ApiConsumer(this, operations, Math.min(PAUSE_EVENTS_BYTES, limits.writeBufferSize / 2));
  }

  opened(socket: ApiSocket): void {
    this.#socket = socket;
  }

  /** A text or binary message; both carry JSON in UTF-8. Returns how many requests it held. */
  message(data: string | Uint8Array): number {
    if (longerThan(data, this.limits.readBufferSize)) {
      this.close(1009, `a request may have ${this.limits.readBufferSize} bytes`);
      return 0;
    }
    if (data === "ping") {
      this.sendText("pong");
      return 1;
    }
    const requests = parseMessage(data);
    if (!Array.isArray(requests)) {
      this.#take(requests, data.length);
      return 1;
    }
    for (const request of requests) this.#take(request, data.length / requests.length);
    return requests.length;
  }

  sendText(text: string): boolean {
    const socket = this.#socket;
    if (socket === undefined) return false;
    const sent = socket.sendText(text);
    if (sent > 0) return true;
    if (this.blockedSince === 0) this.blockedSince = performance.now();
    const waiting = socket.getBufferedAmount();
    if (sent < 0 && waiting <= this.limits.writeBufferSize) return true;
    this.onSlow(this, `${waiting} bytes wait for it (writeBufferSize is ${this.limits.writeBufferSize})`);
    return sent < 0;
  }

  waitingBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0;
  }

  /** The client has taken some of what waited. */
  drained(): void {
    this.blockedSince = this.waitingBytes() === 0 ? 0 : performance.now();
    this.consumer.resume();
  }

  close(code: number, reason: string): void {
    this.#socket?.close(code, reason);
  }

  /** The connection has ended, whatever ended it: gives up its topics and what has not been carried out. */
  closed(): void {
    this.#socket = undefined;
    this.#waiting = [];
    this.consumer.unconsumeAll();
  }

  #take(request: ApiRequest, bytes: number): void {
    // One request of an array may have ended the connection: those after it must not leave anything behind.
    if (this.#socket === undefined) return;
    if (!this.#busy) {
      this.#run(request);
      return;
    }
    this.#waiting.push({ request, bytes });
    this.#waitingRequestBytes += bytes;
    if (this.#waitingRequestBytes > MAX_WAITING_BYTES) {
      this.onSlow(
        this,
        `${this.#waiting.length} requests wait behind a conn.call (at most ${MAX_WAITING_BYTES} bytes)`,
      );
    }
  }

  #run(request: ApiRequest): void {
    const reply = execute(request, this);
    if (typeof reply === "string") {
      this.#answer(reply);
    } else if (isBarrier(request)) {
      this.#busy = true;
      void reply.then((text) => {
        this.#busy = false;
        this.#answer(text);
        this.#runWaiting();
      });
    } else {
      void reply.then((text) => this.#answer(text));
    }
  }

  #runWaiting(): void {
    let next = 0;
    const waiting = this.#waiting;
    for (; next < waiting.length && !this.#busy && this.#socket !== undefined; next++) {
      const { request, bytes } = waiting[next]!;
      this.#waitingRequestBytes -= bytes;
      this.#run(request);
    }
    this.#waiting = waiting.slice(next);
  }

  #answer(reply: string): void {
    this.sendText(reply);
    // After the reply: no event comes before the answer to its consume request.
    if (this.consumer.held) this.consumer.resume();
  }
}

function longerThan(data: string | Uint8Array, bytes: number): boolean {
  if (data.length > bytes) return true;
  // One UTF-16 code unit is three bytes of UTF-8 at most.
  return typeof data === "string" && data.length * 3 > bytes && Buffer.byteLength(data) > bytes;
}

function parseMessage(data: string | Uint8Array): ApiRequest | ApiRequest[] {
  if (typeof data === "string") return parseRequests(data);
  try {
    return parseRequests(utf8.decode(data));
  } catch {
    return unreadable("expected a request as JSON in UTF-8, found bytes that are not UTF-8");
  }
}
