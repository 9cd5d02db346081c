import type { ServerWebSocket } from "bun";
import type { Operations, Soon } from "../mesh/operations.ts";
import { carryOutLater, writeLater } from "../turn.ts";
import type { Grant } from "./access.ts";
import { ApiConsumer, type EventSink } from "./consumer.ts";
import { type Caller, execute, internalErrorReply, isBarrier } from "./methods.ts";
import { type ApiRequest, parseRequests, unreadable } from "./request.ts";

/** Bytes of requests that may wait behind an unanswered `conn.call`. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const PAUSE_EVENTS_BYTES = 256 * 1024;
/** Gathered replies and events are written before the turn's end when they are as long. */
const GATHER_LENGTH = 64 * 1024;

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

/** Who keeps the sessions. */
export interface SessionKeeper {
  /** Counts what all sessions carry out. */
  readonly stats: { requests: number };
  /** The client does not keep up; `reason` says with what. The receiver closes it. */
  slow(session: Session, reason: string): void;
}

/**
 * One client of the WebSocket API. Requests take effect in the order they were sent: one behind a `conn.call` that another
 * engine has to answer waits for that answer, so that a publish sees the subscription made just before it. Everything else is
 * not waited for, so replies that depend on a slow engine may come after later ones.
 *
 * What came in during one turn of the event loop is carried out at its end, and what that and other clients' messages have to
 * say to the client goes out in one write.
 */
export class Session implements Caller, EventSink {
  readonly consumer: ApiConsumer;
  /** When the client last sent bytes; milliseconds of `performance.now()`. */
  lastRead = performance.now();
  /** Since when bytes wait for the client without any progress (`performance.now()`); 0 when none do. */
  blockedSince = 0;
  #socket: ApiSocket | undefined;
  #received: (string | Uint8Array)[] = [];
  #gathered: string[] = [];
  #gatheredLength = 0;
  #toWrite = false;
  #busy = false;
  /** Requests under way that another engine has to answer. */
  #unanswered = 0;
  #waiting: { request: ApiRequest; bytes: number }[] = [];
  #waitingRequestBytes = 0;

  constructor(
    readonly operations: Operations,
    readonly address: string,
    public grant: Grant,
    readonly limits: SessionLimits,
    readonly keeper: SessionKeeper,
  ) {
    this.consumer = new ApiConsumer(this, operations, Math.min(PAUSE_EVENTS_BYTES, limits.writeBufferSize / 2));
  }

  /** Whether requests have come that are not answered yet. */
  get answering(): boolean {
    return this.#unanswered > 0 || this.#waiting.length > 0 || this.#received.length > 0;
  }

  opened(socket: ApiSocket): void {
    this.#socket = socket;
  }

  /** A text or binary message came in; both carry JSON in UTF-8. */
  received(data: string | Uint8Array): void {
    if (this.#received.push(data) === 1) carryOutLater(this.#carryOut);
  }

  /** Sent at the end of the turn. False when there is no connection any more. */
  sendText(text: string): boolean {
    if (this.#socket === undefined) return false;
    this.#gathered.push(text);
    this.#gatheredLength += text.length;
    if (!this.#toWrite) {
      this.#toWrite = true;
      writeLater(this.#writeOut);
    }
    if (this.#gatheredLength > GATHER_LENGTH) this.#flush();
    return true;
  }

  waitingBytes(): number {
    return this.#gatheredLength + (this.blockedSince === 0 ? 0 : this.bufferedBytes());
  }

  /** Bytes that the operating system has not taken yet. */
  bufferedBytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0;
  }

  /** The client has taken some of what waited. */
  drained(): void {
    this.blockedSince = this.bufferedBytes() === 0 ? 0 : performance.now();
    this.consumer.resume();
  }

  /** Closes, after what was said before. */
  close(code: number, reason: string): void {
    this.#flush();
    this.#socket?.close(code, reason);
  }

  /**
   * The connection has ended, whatever ended it: carries out what came in before, and gives up its topics and what is still
   * waiting.
   */
  closed(): void {
    this.#carryOut();
    this.#socket = undefined;
    this.#waiting = [];
    this.#gathered = [];
    this.#gatheredLength = 0;
    this.consumer.unconsumeAll();
  }

  readonly #carryOut = (): void => {
    const received = this.#received;
    this.#received = [];
    for (const data of received) this.keeper.stats.requests += this.#handle(data);
  };

  readonly #writeOut = (): void => {
    this.#toWrite = false;
    this.#flush();
    // What held the events back may have gone out at once, and then no drain is announced.
    if (this.consumer.held) this.consumer.resume();
  };

  /** Carries out a message's requests and returns how many it had. */
  #handle(data: string | Uint8Array): number {
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

  /** Writes what has been gathered. */
  #flush(): void {
    const socket = this.#socket;
    const gathered = this.#gathered;
    if (socket === undefined || gathered.length === 0) return;
    this.#gathered = [];
    this.#gatheredLength = 0;
    if (gathered.length === 1) socket.sendText(gathered[0]!);
    else
      socket.cork(() => {
        for (const text of gathered) socket.sendText(text);
      });
    const buffered = socket.getBufferedAmount();
    if (buffered === 0) return;
    if (this.blockedSince === 0) this.blockedSince = performance.now();
    const { writeBufferSize } = this.limits;
    if (buffered > writeBufferSize) {
      this.keeper.slow(this, `${buffered} bytes wait for it (writeBufferSize is ${writeBufferSize})`);
    }
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
      this.keeper.slow(
        this,
        `${this.#waiting.length} requests wait behind a conn.call (at most ${MAX_WAITING_BYTES} bytes)`,
      );
    }
  }

  #run(request: ApiRequest): void {
    let reply: Soon<string>;
    try {
      reply = execute(request, this);
    } catch (error) {
      // The requests behind this one are not to blame.
      reply = Promise.reject(error);
    }
    if (typeof reply === "string") {
      this.#answer(reply);
      return;
    }
    void this.#answerLater(request, reply);
  }

  async #answerLater(request: ApiRequest, reply: Promise<string>): Promise<void> {
    const barrier = isBarrier(request);
    if (barrier) this.#busy = true;
    this.#unanswered++;
    try {
      this.#answer(await reply);
    } catch (error) {
      // What is asked next must not wait for ever; the process's own handler reports it.
      this.#answer(internalErrorReply(request));
      throw error;
    } finally {
      this.#unanswered--;
      if (barrier) {
        this.#busy = false;
        this.#runWaiting();
      }
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
