import type { Socket } from "node:net";
import { messageOf } from "../errors.ts";

/** Thrown while a message is handled: the peer broke the protocol, and its connection is closed with this reason. */
export class ProtocolError extends Error {}

const HEADER = 4;
/** What may wait for a peer that does not read. */
const MAX_WAITING = 16 * 1024 * 1024;
/** How long a closing socket may take to write what is left. */
const LINGER = 1000;

/**
 * JSON messages over a TCP socket, each behind its length in bytes (unsigned, 32 bits, big-endian). The peer is not
 * trusted: a length above `maxFrame`, a text that is not JSON or a `ProtocolError` of the receiver closes the connection.
 */
export class JsonSocket {
  readonly #socket: Socket;
  readonly #maxFrame: number;
  #received: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  #closed = false;

  /** Called for each message, in order. */
  onMessage: (message: unknown) => void = () => {};
  /** Called once, with the reason. */
  onClose: (reason: string) => void = () => {};

  constructor(socket: Socket, maxFrame: number) {
    this.#socket = socket;
    this.#maxFrame = maxFrame;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.close(describe(error)));
    socket.on("close", () => this.close("the peer closed the connection"));
  }

  send(message: object): void {
    if (this.#closed) return;
    const text = Buffer.from(JSON.stringify(message));
    const header = Buffer.alloc(HEADER);
    header.writeUInt32BE(text.length);
    this.#socket.write(Buffer.concat([header, text]));
    if (this.#socket.writableLength > MAX_WAITING) {
      this.close(`the peer does not read: ${this.#socket.writableLength} bytes wait for it`);
    }
  }

  /** Reads no more, writes what was sent before, and closes. */
  close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#received = Buffer.alloc(0);
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), LINGER).unref();
    this.onClose(reason);
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (!this.#closed && this.#received.length >= HEADER) {
      const length = this.#received.readUInt32BE();
      if (length > this.#maxFrame) {
        this.close(`malformed message: ${length} bytes, at most ${this.#maxFrame} are accepted`);
        return;
      }
      if (this.#received.length < HEADER + length) return;
      const text = this.#received.toString("utf8", HEADER, HEADER + length);
      this.#received = this.#received.subarray(HEADER + length);
      this.#deliver(text);
    }
  }

  #deliver(text: string): void {
    try {
      this.onMessage(parse(text));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.close(error.message);
    }
  }
}

function describe(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "connection refused";
  if (error.code === "ECONNRESET") return "connection reset";
  if (error.code === "ENOTFOUND") return "no such host name";
  return messageOf(error);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError("malformed message: not JSON");
  }
}
