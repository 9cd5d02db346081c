/**
 * Client ids are integers below 2^53: a node number (12 bits) above a sequence (41 bits). The sequence starts from the
 * clock, so a node that restarts under the same number goes on above everything it issued before; the owner of an id is
 * read from the id itself, without a look-up.
 */
export const NODE_NUMBERS = 4096;
const SEQUENCES = 2 ** 41;

/** 2020-01-01T00:00:00Z: 41 bits of milliseconds from here last until 2089. */
const EPOCH = 1_577_836_800_000;

export class ClientIds {
  #base: number;
  #sequence: number;

  /** `now` is the wall clock in milliseconds since 1970. */
  constructor(number: number, now: number = Date.now()) {
    this.#base = number * SEQUENCES;
    this.#sequence = Math.max(0, now - EPOCH) % SEQUENCES;
  }

  /** Never repeats within the process, whatever the clock does: the clock is read once. */
  next(): number {
    this.#sequence = (this.#sequence + 1) % SEQUENCES;
    return this.#base + this.#sequence;
  }

  /** Goes on under another node number, after the registry gave this node a new lease. */
  renumber(number: number): void {
    this.#base = number * SEQUENCES;
  }
}

/** The node number of the engine that issued `id`. */
export function nodeNumberOf(id: number): number {
  return Math.floor(id / SEQUENCES);
}

/** Reads a client id given as a decimal string or an integer; `undefined` when it is neither. */
export function parseClientId(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  if (typeof value !== "string" || !/^\d{1,16}$/.test(value)) return undefined;
  const id = Number(value);
  return Number.isSafeInteger(id) ? id : undefined;
}
