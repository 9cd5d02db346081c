import { bytesArgument, integerArgument } from "./arguments.ts";
import { createMetatable } from "./metatable.ts";
import type { LuaState } from "./state.ts";
import type { StreamBuffer } from "./stream-buffer.ts";

/**
 * The `buf` of `protocol_input`: a view of the bytes that wait. One object serves every call of a VM; it is pointed at a
 * connection's buffer while `protocol_input` runs and at nothing otherwise. Reading only moves a position, which starts at 0 in
 * every call: what `protocol_input` returns counts from the first waiting byte, and only that consumes.
 */
export class BufferObject {
  #buffer: StreamBuffer | undefined = undefined;
  #position = 0;

  open(buffer: StreamBuffer): void {
    this.#buffer = buffer;
    this.#position = 0;
  }

  close(): void {
    this.#buffer = undefined;
  }

  get position(): number {
    return this.#position;
  }

  /** Raises when used after `protocol_input` has returned. */
  waiting(L: LuaState): StreamBuffer {
    return this.#buffer ?? L.error("the buffer can be used in protocol_input only");
  }

  read(L: LuaState, count: number): Uint8Array | undefined {
    const buffer = this.waiting(L);
    if (this.#position + count > buffer.length) return undefined;
    const bytes = buffer.slice(this.#position, count);
    this.#position += count;
    return bytes;
  }
}

/** Makes the buffer object of a VM; returns its reference. */
export function createBufferObject(L: LuaState, object: BufferObject): number {
  L.pushUserdata(object);
  L.pushRef(createMetatable(L, "buffer", METHODS));
  L.setMetatable(-2);
  return L.ref();
}

function self(L: LuaState): BufferObject {
  const object = L.toUserdata(1);
  return object instanceof BufferObject ? object : L.argError(1, "buffer expected: call it as buf:method()");
}

/** A position counted from 1, or from the end when negative, as an offset from 0. */
function offset(position: number, length: number): number {
  return position > 0 ? position - 1 : Math.max(0, length + position);
}

const METHODS = {
  tostring(L: LuaState): number {
    L.pushBytes(self(L).waiting(L).bytes());
    return 1;
  },
  read(L: LuaState): number {
    const object = self(L);
    const count = integerArgument(L, 2);
    if (count < 0) L.argError(2, `a number of bytes expected, got ${count}`);
    const bytes = object.read(L, count);
    if (bytes !== undefined) {
      L.pushBytes(bytes);
      return 1;
    }
    L.pushNil();
    L.pushText(`${count} bytes asked for, ${object.waiting(L).length - object.position} wait`);
    return 2;
  },
  position(L: LuaState): number {
    L.pushNumber(self(L).position);
    return 1;
  },
  length(L: LuaState): number {
    L.pushNumber(self(L).waiting(L).length);
    return 1;
  },
  /** The first and last position of a plain string, from 1, as string.find with `plain`. */
  find(L: LuaState): number {
    const waiting = self(L).waiting(L);
    const wanted = bytesArgument(L, 2);
    const found = waiting.indexOf(wanted, offset(integerArgument(L, 3, 1), waiting.length));
    if (found < 0) {
      L.pushNil();
      return 1;
    }
    L.pushNumber(found + 1);
    L.pushNumber(found + wanted.length);
    return 2;
  },
  /** The byte at `i`, or those from `i` to `j`, as string.byte. */
  byte(L: LuaState): number {
    const waiting = self(L).waiting(L);
    const first = offset(integerArgument(L, 2, 1), waiting.length);
    const last = Math.min(offset(integerArgument(L, 3, first + 1), waiting.length), waiting.length - 1);
    for (let i = first; i <= last; i++) L.pushNumber(waiting.byteAt(i)!);
    return Math.max(0, last - first + 1);
  },
};
