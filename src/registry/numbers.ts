import { NODE_NUMBERS } from "../client-id.ts";

/**
 * The node numbers that are leased, each to one node id. Numbers are handed out in a circle, so one that was given back
 * is not issued again soon; the circle starts from the clock (one step a second), so that holds across restarts as well.
 */
export class NodeNumbers {
  readonly #holders = new Map<number, string>();
  #next: number;

  /** `now` is the wall clock in milliseconds since 1970. */
  constructor(now: number = Date.now()) {
    this.#next = Math.floor(now / 1000) % NODE_NUMBERS;
  }

  /** The node id that holds `number`. */
  holder(number: number): string | undefined {
    return this.#holders.get(number);
  }

  /** Leases the next free number; `undefined` when all are taken. */
  lease(id: string): number | undefined {
    for (let tried = 0; tried < NODE_NUMBERS; tried++) {
      const number = this.#next;
      this.#next = (number + 1) % NODE_NUMBERS;
      if (this.#holders.has(number)) continue;
      this.#holders.set(number, id);
      return number;
    }
    return undefined;
  }

  /** Gives `number` to `id`, whoever held it. */
  assign(number: number, id: string): void {
    this.#holders.set(number, id);
  }

  /** Takes `number` back if `id` still holds it. */
  release(number: number, id: string): void {
    if (this.#holders.get(number) === id) this.#holders.delete(number);
  }
}
