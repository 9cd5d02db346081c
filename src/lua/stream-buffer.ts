/**
 * The bytes of a TCP stream that have arrived and are not consumed yet. Chunks are kept as they come and joined only when
 * someone asks for a range that spans them, so a packet that arrives in a thousand pieces is copied once, not a thousand times.
 */
export class StreamBuffer {
  #chunks: Uint8Array[] = [];
  #length = 0;
  #start = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  /** Takes ownership of `chunk`: it must not be changed afterwards. */
  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** All waiting bytes as one array, without consuming them. Not a copy: do not change it. */
  bytes(): Uint8Array {
    if (this.#length === 0) return EMPTY;
    if (this.#chunks.length > 1) {
      const joined = new Uint8Array(this.#length);
      let at = 0;
      for (const [i, chunk] of this.#chunks.entries()) {
        const part = i === 0 ? chunk.subarray(this.#start) : chunk;
        joined.set(part, at);
        at += part.length;
      }
      this.#chunks = [joined];
      this.#start = 0;
    }
    const only = this.#chunks[0]!;
    return this.#start === 0 ? only : only.subarray(this.#start);
  }

  /** Removes and returns the first `count` bytes; `undefined` when fewer wait. */
  read(count: number): Uint8Array | undefined {
    if (count > this.#length) return undefined;
    const first = this.#chunks[0];
    const whole =
      first !== undefined && first.length - this.#start >= count ? first.subarray(this.#start) : this.bytes();
    const taken = whole.subarray(0, count);
    this.discard(count);
    return taken;
  }

  /** Removes the first `count` bytes, or all when fewer wait. */
  discard(count: number): void {
    let left = Math.min(count, this.#length);
    this.#length -= left;
    let whole = 0;
    while (left > 0) {
      const available = this.#chunks[whole]!.length - this.#start;
      if (left < available) {
        this.#start += left;
        break;
      }
      left -= available;
      this.#start = 0;
      whole++;
    }
    if (whole > 0) this.#chunks.splice(0, whole);
  }

  clear(): void {
    this.#chunks = [];
    this.#length = 0;
    this.#start = 0;
  }
}

const EMPTY = new Uint8Array(0);
