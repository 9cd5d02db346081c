import type { LuaState } from "./state.ts";

/** Longest string a script may make, in bytes. */
export const MAX_STRING = 64 * 1024 * 1024;

/** Pieces of a string in the making. */
export class Pieces {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(private readonly L: LuaState) {}

  get length(): number {
    return this.#length;
  }

  add(piece: Uint8Array): void {
    this.#length += piece.length;
    if (this.#length > MAX_STRING) tooLarge(this.L);
    this.#pieces.push(piece);
  }

  joined(): Uint8Array {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }
}

export function tooLarge(L: LuaState): never {
  return L.error(`resulting string too large (more than ${MAX_STRING} bytes)`);
}
