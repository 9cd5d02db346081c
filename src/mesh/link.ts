import type { Socket, SocketHandler } from "bun";
import { messageOf } from "../errors.ts";
import { isThisMachine } from "../this-machine.ts";
import { writeLater } from "../turn.ts";
import { FrameDecoder, FrameError, type FrameReader, FrameType, FrameWriter } from "./frame.ts";

export interface LinkLimits {
  /** Longest frame in bytes, sent or received. */
  maxFrame: number;
  /** Most bytes that may wait for a peer that does not read. */
  maxWaiting: number;
  /** Milliseconds between two pings. */
  heartbeat: number;
  /** Milliseconds without a byte from the peer after which the link is dead. */
  deadAfter: number;
  /** Milliseconds for the connection and the handshake. */
  handshake: number;
}

/** Before the peer has proved who it is, it is listened to for greetings only. */
const STRANGER_MAX_FRAME = 4096;

/**
 * One TCP connection to a peer engine: frames in both directions, in order. What is written during one turn of the event
 * loop goes out in one write; what the peer does not take at once waits here, bounded.
 */
export class Link {
  readonly writer: FrameWriter;
  framesIn = 0;
  framesOut = 0;
  bytesIn = 0;
  /** Bytes the operating system has taken. */
  bytesOut = 0;
  /** Round trip in milliseconds, `undefined` before the first answered ping. */
  rtt: number | undefined = undefined;
  /** True from the end of the handshake: counts and heartbeats begin. */
  trusted = false;
  closed = false;
  /** The socket is gone too: after `close` it stays until the peer has read everything and ended its side. */
  gone = false;
  remoteAddress = "an unknown address";
  /** True when the other end is on this machine, whichever of its addresses was used. */
  sameMachine = false;

  /** The signals, set by whoever has the link at the time: the handshake, then the peer. */
  onOpen: () => void = () => {};
  onFrame: (type: number, body: FrameReader) => void = () => {};
  /** Before a write: the time to add what was only noted during the turn. */
  onFlush: () => void = () => {};
  /** There was no room for something, and the peer has taken everything that waited since. */
  onDrained: () => void = () => {};
  onClosed: (reason: string) => void = () => {};

  readonly #limits: LinkLimits;
  readonly #decoder: FrameDecoder;
  readonly #write = (buffer: Buffer, offset: number, length: number): number => {
    const taken = this.#socket === undefined ? 0 : Math.max(0, this.#socket.write(buffer, offset, length));
    this.bytesOut += taken;
    this.#blocked = taken < length;
    return taken;
  };
  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#blocked || this.closed) return;
    this.onFlush();
    this.#scheduled = false;
    if (this.writer.waiting > 0) this.writer.drain(this.#write);
    if (this.#refused && this.writer.waiting === 0) {
      this.#refused = false;
      this.onDrained();
    }
  };
  #socket: Socket<Link> | undefined;
  #scheduled = false;
  /** True while the socket takes nothing: `drain` will tell when it does. */
  #blocked = false;
  /** True from a `hasRoom` that was denied until everything that waited is gone. */
  #refused = false;
  readonly #created: number;
  #lastHeard: number;
  #lastPing: number;
  /** When the oldest ping without an answer was sent. */
  #unanswered: number | undefined;
  #pings = 0;
  #pongs = 0;

  constructor(limits: LinkLimits) {
    this.#limits = limits;
    this.writer = new FrameWriter(limits.maxFrame);
    this.#decoder = new FrameDecoder(STRANGER_MAX_FRAME, (type, body) => this.#receive(type, body));
    this.#created = performance.now();
    this.#lastHeard = this.#created;
    this.#lastPing = this.#created;
  }

  /** The position in the stream of bytes after everything written so far; compare with `bytesOut`. */
  get position(): number {
    return this.bytesOut + this.writer.waiting;
  }

  /** Whether `bytes` more may be written without exceeding `maxWaiting`. */
  hasRoom(bytes: number): boolean {
    const room = !this.closed && this.writer.waiting + bytes <= this.#limits.maxWaiting;
    if (!room) this.#refused = true;
    return room;
  }

  /** Ends the frame begun on `writer` and sends it at the end of this turn of the event loop. False when it was too long. */
  finish(): boolean {
    if (!this.writer.end()) return false;
    this.framesOut++;
    this.schedule();
    return true;
  }

  /** Has `onFlush` called at the end of this turn. */
  schedule(): void {
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    writeLater(this.#flush);
  }

  /** Sends a frame whose body is only text. */
  sendText(type: number, text: string): boolean {
    this.writer.begin(type);
    this.writer.text(text);
    return this.finish();
  }

  /** Sends what waits now instead of at the end of the turn. */
  flush(): void {
    this.#flush();
  }

  trust(): void {
    this.trusted = true;
    this.#decoder.maxFrame = this.#limits.maxFrame;
    this.#lastPing = 0;
  }

  /** Pings when it is time, and closes a link that has been silent for too long. */
  tick(now: number): void {
    if (this.closed) return;
    if (!this.trusted) {
      if (now - this.#created > this.#limits.handshake) this.close("the handshake took too long");
      return;
    }
    const silent = now - this.#lastHeard;
    if (silent > this.#limits.deadAfter) {
      this.close(`nothing heard for ${(silent / 1000).toFixed(1)} s`);
      // Nobody answers an orderly end, which would leave the socket behind.
      this.#socket?.terminate();
      return;
    }
    if (now - this.#lastPing >= this.#limits.heartbeat) this.ping(now);
  }

  ping(now: number): void {
    this.#lastPing = now;
    this.#unanswered ??= now;
    this.#pings++;
    this.writer.begin(FrameType.ping);
    this.finish();
  }

  /** Whether every ping is answered: the peer has read what was sent before the last, and what it said before is here. */
  get answered(): boolean {
    return this.#pings === this.#pongs;
  }

  /** This process itself stood still for `ms`; the peer is not to blame for the silence. */
  forgive(ms: number): void {
    this.#lastHeard += ms;
  }

  /** Sends what waits as far as the socket takes it, then closes. `onClosed` is called once, whoever closed first. */
  close(reason: string): void {
    if (this.closed) return;
    this.#flush();
    this.closed = true;
    this.#decoder.stop();
    this.#socket?.end();
    this.onClosed(reason);
  }

  opened(socket: Socket<Link>): void {
    this.#socket = socket;
    if (this.closed) {
      socket.end();
      return;
    }
    // Read now: a socket that has ended no longer knows.
    this.remoteAddress = socket.remoteAddress;
    this.sameMachine = isThisMachine(socket.remoteAddress);
    socket.setNoDelay(true);
    this.onOpen();
  }

  received(chunk: Buffer): void {
    this.bytesIn += chunk.length;
    this.#lastHeard = performance.now();
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      const kind = error instanceof FrameError ? "malformed frames" : "a frame could not be handled";
      this.close(`${kind}: ${messageOf(error)}`);
    }
  }

  /** The operating system has let go of the socket. */
  ended(): void {
    this.gone = true;
    this.close("the connection was closed");
  }

  drained(): void {
    this.#blocked = false;
    this.#flush();
  }

  #receive(type: number, body: FrameReader): void {
    this.framesIn++;
    if (type === FrameType.ping) {
      this.writer.begin(FrameType.pong);
      this.finish();
    } else if (type === FrameType.pong) {
      if (this.#pongs < this.#pings) this.#pongs++;
      if (this.#unanswered === undefined) return;
      this.rtt = performance.now() - this.#unanswered;
      this.#unanswered = undefined;
    } else {
      this.onFrame(type, body);
    }
  }
}

/** The handlers of every mesh socket; `socket.data` is its link. */
export const LINK_SOCKET: SocketHandler<Link> = {
  open: (socket) => socket.data.opened(socket),
  data: (socket, chunk) => socket.data.received(chunk),
  drain: (socket) => socket.data.drained(),
  close: (socket) => socket.data.ended(),
  end: (socket) => socket.data.close("the peer closed the connection"),
  error: (socket, error) => socket.data.close(messageOf(error)),
  connectError: (socket, error) => socket.data.close(`cannot connect: ${messageOf(error)}`),
};
