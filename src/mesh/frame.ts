/**
 * The mesh's wire format. A frame is its length (32 bits, big-endian, counting what follows), one byte of type and a body.
 * In a body, `number` is an unsigned LEB128 of up to 2^53 - 1, `string` a number of bytes and that many bytes of UTF-8,
 * `text` UTF-8 up to the frame's end, and `payload` one byte (0 text, 1 binary) and the data up to the frame's end.
 * A receiver skips types it does not know, so that a newer engine can say more than an older one understands.
 */
export const FrameType = {
  /** Dialing side: its greeting as JSON text (see handshake.ts). */
  hello: 1,
  /** Listening side: its greeting with its proof, as JSON text. */
  welcome: 2,
  /** Dialing side: its proof as text. */
  proof: 3,
  /** Either side, before the handshake is done: why it will not talk, as text. */
  refuse: 4,
  ping: 5,
  pong: 6,

  /** What follows up to `snapshotEnd` replaces everything the peer said about its interest before. */
  snapshot: 10,
  snapshotEnd: 11,
  /** The sender has subscribers for a channel: text. */
  channelOn: 12,
  /** It has none any more: text. */
  channelOff: 13,
  /** How many consumers of a topic the sender has: number, topic as text. */
  consumers: 14,
  /** In a snapshot, how far the receiver's messages of a topic came: number received, number delivered, topic as text. */
  position: 15,

  /** number request, number client id, payload. */
  send: 20,
  /** number request, why it failed as text, empty when it did not. */
  sendAnswer: 21,
  /** number request, string channel, payload. */
  publish: 22,
  /** number request, number total, number failed. */
  publishAnswer: 23,
  /** number request, number client id, string function, arguments as JSON text. */
  call: 24,
  /** number request, the result as JSON text. */
  callAnswer: 25,

  /** A queued message for one of the receiver's consumers: number sequence, number client id, string topic, JSON text. */
  message: 30,
  /** Delivered up to and including a sequence: number, topic as text. */
  ack: 31,
  /** No consumers left: delivered up to a sequence, the rest is the sender's again: number, topic as text. */
  return: 32,
  /** Answers `return`: the sequence that the next message will have: number, topic as text. */
  returned: 33,
} as const;

const HEADER = 4;
const INITIAL_SIZE = 4096;
/** A buffer that grew beyond this in a burst is given up when it is empty. */
const KEEP_SIZE = 1024 * 1024;
/** A string of up to this many UTF-16 units has at most 127 bytes, whose count fits in one byte. */
const SHORT_STRING = 42;

/** What a peer sent is not what this format allows. */
export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** Writes frames one behind the other into one buffer, from whose front the socket takes bytes as it can. */
export class FrameWriter {
  #buffer = Buffer.allocUnsafe(INITIAL_SIZE);
  #start = 0;
  #end = 0;
  #frame = 0;

  constructor(readonly maxFrame: number) {}

  /** Bytes written and not yet taken. */
  get waiting(): number {
    return this.#end - this.#start;
  }

  begin(type: number): void {
    this.#reserve(HEADER + 1);
    this.#frame = this.#end;
    this.#buffer[this.#end + HEADER] = type;
    this.#end += HEADER + 1;
  }

  /** Completes the frame. False when it is longer than `maxFrame`; then it is as if it had never been begun. */
  end(): boolean {
    const length = this.#end - this.#frame - HEADER;
    if (length > this.maxFrame) {
      this.#end = this.#frame;
      return false;
    }
    this.#buffer.writeUInt32BE(length, this.#frame);
    return true;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#end++] = value;
  }

  number(value: number): void {
    this.#reserve(8);
    let rest = value;
    // Above 31 bits the bitwise operators no longer work.
    while (rest >= 0x80000000) {
      this.#buffer[this.#end++] = 0x80 | (rest % 128);
      rest = Math.floor(rest / 128);
    }
    while (rest >= 0x80) {
      this.#buffer[this.#end++] = 0x80 | (rest & 0x7f);
      rest >>>= 7;
    }
    this.#buffer[this.#end++] = rest;
  }

  string(value: string): void {
    if (value.length > SHORT_STRING) {
      this.number(Buffer.byteLength(value));
      this.text(value);
      return;
    }
    this.#reserve(1 + value.length * 3);
    const written = this.#buffer.write(value, this.#end + 1);
    this.#buffer[this.#end] = written;
    this.#end += 1 + written;
  }

  text(value: string): void {
    // Three bytes a unit is the most UTF-8 needs; a long text is measured instead of reserving three times its size.
    this.#reserve(value.length > KEEP_SIZE ? Buffer.byteLength(value) : value.length * 3);
    this.#end += this.#buffer.write(value, this.#end);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#end);
    this.#end += value.length;
  }

  /** A text may come as the UTF-8 it is sent as, encoded once for several peers. */
  payload(data: string | Uint8Array, text: boolean): void {
    this.byte(text ? 0 : 1);
    if (typeof data === "string") this.text(data);
    else this.bytes(data);
  }

  /** Offers what waits to `write`, which returns how many bytes it took. */
  drain(write: (buffer: Buffer, offset: number, length: number) => number): void {
    const taken = write(this.#buffer, this.#start, this.#end - this.#start);
    this.#start += taken;
    if (this.#start < this.#end) return;
    this.#start = 0;
    this.#end = 0;
    if (this.#buffer.length > KEEP_SIZE) this.#buffer = Buffer.allocUnsafe(INITIAL_SIZE);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    const waiting = this.waiting;
    // Moving what waits to the front is enough when that frees half of the buffer; otherwise it doubles.
    const room = waiting + bytes <= this.#buffer.length / 2;
    const buffer = room ? this.#buffer : Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, waiting + bytes));
    this.#buffer.copy(buffer, 0, this.#start, this.#end);
    this.#buffer = buffer;
    this.#frame -= this.#start;
    this.#start = 0;
    this.#end = waiting;
  }
}

/** Reads the body of one frame. Every read is checked against the frame's end and throws a `FrameError` beyond it. */
export class FrameReader {
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  reset(buffer: Buffer, start: number, end: number): void {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  byte(): number {
    if (this.#at >= this.#end) throw new FrameError("a frame ended too early");
    return this.#buffer[this.#at++]!;
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (let byte = 0; byte < 8; byte++) {
      const bits = this.byte();
      value += (bits & 0x7f) * scale;
      if (bits < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new FrameError("a number in a frame is over 2^53 - 1");
  }

  string(): string {
    const length = this.number();
    if (length > this.#end - this.#at) throw new FrameError("a string is longer than its frame");
    const start = this.#at;
    this.#at += length;
    return this.#buffer.toString("utf8", start, this.#at);
  }

  text(): string {
    const start = this.#at;
    this.#at = this.#end;
    return this.#buffer.toString("utf8", start, this.#end);
  }

  payload(): string | Uint8Array {
    const kind = this.byte();
    if (kind === 0) return this.text();
    if (kind !== 1) throw new FrameError(`a payload is text (0) or binary (1), found ${kind}`);
    const start = this.#at;
    this.#at = this.#end;
    return this.#buffer.subarray(start, this.#end);
  }
}

/** Cuts a stream of bytes, however it was split, into frames. */
export class FrameDecoder {
  readonly #reader = new FrameReader();
  readonly #onFrame: (type: number, body: FrameReader) => void;
  /** The beginning of a frame whose rest has not come yet. */
  #partial: Buffer | undefined;
  #filled = 0;
  #stopped = false;

  /** The longest frame that is accepted; may be raised once the peer is trusted with more. */
  constructor(
    public maxFrame: number,
    onFrame: (type: number, body: FrameReader) => void,
  ) {
    this.#onFrame = onFrame;
  }

  /** No further frame is handed out, also not from bytes that have come already. */
  stop(): void {
    this.#stopped = true;
    this.#partial = undefined;
  }

  /** The bytes a frame hands out are the chunk's own where possible. Throws a `FrameError` when they are no frames. */
  push(chunk: Buffer): void {
    let at = this.#partial === undefined ? 0 : this.#complete(chunk);
    while (!this.#stopped && chunk.length - at >= HEADER) {
      const start = at + HEADER;
      const end = start + this.#length(chunk, at);
      if (end > chunk.length) break;
      this.#handOut(chunk, start, end);
      at = end;
    }
    if (this.#stopped || at === chunk.length) return;
    this.#partial = Buffer.from(chunk.subarray(at));
    this.#filled = chunk.length - at;
  }

  /** Fills up the partial frame; returns how many bytes of the chunk that took. */
  #complete(chunk: Buffer): number {
    let used = 0;
    while (this.#partial !== undefined && used < chunk.length) {
      const wanted = this.#filled < HEADER ? HEADER : HEADER + this.#length(this.#partial, 0);
      const count = Math.min(wanted - this.#filled, chunk.length - used);
      if (this.#filled + count > this.#partial.length) {
        // Grows with what really comes, so that a length alone cannot claim memory.
        const bigger = Buffer.allocUnsafe(Math.min(wanted, Math.max(this.#filled + count, this.#partial.length * 2)));
        this.#partial.copy(bigger, 0, 0, this.#filled);
        this.#partial = bigger;
      }
      chunk.copy(this.#partial, this.#filled, used, used + count);
      this.#filled += count;
      used += count;
      if (this.#filled < wanted || wanted === HEADER) continue;
      const frame = this.#partial;
      this.#partial = undefined;
      this.#handOut(frame, HEADER, wanted);
    }
    return used;
  }

  #length(buffer: Buffer, at: number): number {
    const length = buffer.readUInt32BE(at);
    if (length === 0) throw new FrameError("a frame without a type");
    if (length > this.maxFrame) throw new FrameError(`a frame of ${length} bytes, the limit is ${this.maxFrame}`);
    return length;
  }

  #handOut(buffer: Buffer, start: number, end: number): void {
    this.#reader.reset(buffer, start + 1, end);
    this.#onFrame(buffer[start]!, this.#reader);
  }
}
