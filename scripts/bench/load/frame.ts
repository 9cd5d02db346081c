const TEXT = 0x1;
const CLOSE = 0x8;
const MASK = new Uint8Array([0x37, 0xfa, 0x21, 0x3d]);

/** A complete masked frame, as a client sends it (RFC 6455 section 5.2). */
export function maskedFrame(payload: Uint8Array, opcode = TEXT): Uint8Array {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const frame = new Uint8Array(2 + extended + 4 + length);
  const view = new DataView(frame.buffer);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) view.setUint16(2, length);
  if (extended === 8) view.setBigUint64(2, BigInt(length));
  frame.set(MASK, 2 + extended);
  const start = 2 + extended + 4;
  for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ MASK[i & 3]!;
  return frame;
}

export function textFrame(text: string): Uint8Array {
  return maskedFrame(new TextEncoder().encode(text));
}

/** A close frame with code 1000. */
export const closeFrame = maskedFrame(new Uint8Array([0x03, 0xe8]), CLOSE);

/** Counts whole packets in a stream without looking at what they hold, however the stream was cut into chunks. */
export interface PacketCounter {
  /** How many packets end in this chunk. */
  count(chunk: Uint8Array): number;
}

/** Counts a server's data frames (unmasked, not fragmented) whose payload is at most `longest` bytes. A close frame is an error. */
export class FrameCounter implements PacketCounter {
  #skip = 0;
  readonly #header = new Uint8Array(10);
  #have = 0;

  constructor(readonly longest = Number.POSITIVE_INFINITY) {}

  count(chunk: Uint8Array): number {
    const { length } = chunk;
    let at = 0;
    let frames = 0;
    while (at < length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      // The common case, a short frame whose header lies whole in the chunk, is read in place.
      if (this.#have === 0 && length - at >= 2 && chunk[at + 1]! < 126) {
        const size = chunk[at + 1]!;
        frames += this.#counts(chunk[at]!, size);
        this.#skip = size;
        at += 2;
        continue;
      }
      this.#header[this.#have++] = chunk[at++]!;
      if (this.#have < 2) continue;
      const short = this.#header[1]!;
      const needed = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (this.#have < needed) continue;
      const view = new DataView(this.#header.buffer);
      const size = short < 126 ? short : short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
      frames += this.#counts(this.#header[0]!, size);
      this.#skip = size;
      this.#have = 0;
    }
    return frames;
  }

  /** A frame counts when its header has been seen: its payload is on the way. */
  #counts(first: number, size: number): 0 | 1 {
    const opcode = first & 0x0f;
    if (opcode === CLOSE) throw new Error("the server closed a connection in the middle of the run");
    return opcode < CLOSE && size <= this.longest ? 1 : 0;
  }
}

/** Counts newline-terminated lines. */
export class LineCounter implements PacketCounter {
  count(chunk: Uint8Array): number {
    let lines = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines++;
    return lines;
  }
}

/** Takes the payloads of complete unmasked frames off the front of `bytes`; for the few frames whose content matters. */
export function takeFrame(bytes: Uint8Array): { payload: string; rest: Uint8Array } | undefined {
  if (bytes.length < 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const short = bytes[1]!;
  const start = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < start) return undefined;
  const size = short < 126 ? short : short === 126 ? view.getUint16(2) : Number(view.getBigUint64(2));
  if (bytes.length < start + size) return undefined;
  return { payload: new TextDecoder().decode(bytes.subarray(start, start + size)), rest: bytes.subarray(start + size) };
}
