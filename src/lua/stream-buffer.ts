const EMPTY = new Uint8Array(0);
const SMALLEST = 256;

/**
 * The bytes of a TCP stream that have arrived and are not consumed yet, always in one piece. A chunk that arrives when
 * nothing waits is used as it is, without copying, which is the common case. What follows on an incomplete packet is
 * copied to storage that doubles, so a packet in a thousand pieces is copied a few times, not a thousand. Bytes that were
 * handed out are never overwritten.
 */
export class StreamBuffer {
  #storage: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;
  /** False while the storage is a chunk of somebody else's. */
  #growing = false;

  /** Bytes waiting. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Takes ownership of `chunk`: it must not be changed afterwards. */
  append(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.length === 0) {
      this.#storage = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#growing = false;
      return;
    }
    if (!this.#growing || this.#storage.length - this.#end < chunk.length) this.#grow(chunk.length);
    this.#storage.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** All waiting bytes, without consuming them. Not a copy: do not change it. */
  bytes(): Uint8Array {
    return this.#storage.subarray(this.#start, this.#end);
  }

  /** The byte at `offset`, without consuming it; `undefined` beyond the end. */
  byteAt(offset: number): number | undefined {
    const at = this.#start + offset;
    return at < this.#end ? this.#storage[at] : undefined;
  }

  /** The offset of the first `wanted` at or after `from`; -1 when there is none. */
  indexOf(wanted: Uint8Array, from: number): number {
    if (from > this.length) return -1;
    const found = Buffer.prototype.indexOf.call(this.#storage, wanted, this.#start + from);
    return found < 0 || found + wanted.length > this.#end ? -1 : found - this.#start;
  }

  /** `count` waiting bytes from `offset`, without consuming them, or fewer when fewer wait. Not a copy. */
  slice(offset: number, count: number): Uint8Array {
    const from = Math.min(this.#start + offset, this.#end);
    return this.#storage.subarray(from, Math.min(from + count, this.#end));
  }

  /** Removes and returns the first `count` bytes; `undefined` when fewer wait. Not a copy. */
  read(count: number): Uint8Array | undefined {
    if (count > this.length) return undefined;
    const taken = this.slice(0, count);
    this.discard(count);
    return taken;
  }

  /** Removes the first `count` bytes, or all when fewer wait. */
  discard(count: number): void {
    this.#start += count;
    if (this.#start >= this.#end) this.clear();
  }

  clear(): void {
    this.#storage = EMPTY;
    this.#start = 0;
    this.#end = 0;
    this.#growing = false;
  }

  #grow(more: number): void {
    const waiting = this.bytes();
    const storage = new Uint8Array(Math.max(SMALLEST, 2 * (waiting.length + more)));
    storage.set(waiting);
    this.#storage = storage;
    this.#start = 0;
    this.#end = waiting.length;
    this.#growing = true;
  }
}
