import type { CallResult } from "../hub/calls.ts";
import type { Failure } from "../hub/connection.ts";
import type { PublishCount } from "../hub/hub.ts";

/** One publish that several peers take part in: the counts add up until the last of them has answered. */
export class PublishGather {
  readonly promise: Promise<PublishCount>;
  #resolve: (count: PublishCount) => void = () => {};
  #total: number;
  #fail: number;
  #missing: number;

  /** `own` is what this engine's own subscribers came to. */
  constructor(own: PublishCount, peers: number) {
    this.#total = own.total;
    this.#fail = own.fail;
    this.#missing = peers;
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  add(total: number, fail: number): void {
    this.#total += total;
    this.#fail += fail;
    if (--this.#missing === 0) this.#resolve({ total: this.#total, fail: this.#fail });
  }
}

/** A request that a peer has not answered yet. */
export type Pending =
  | { kind: "send"; resolve: (failure: Failure) => void; deadline: number }
  | { kind: "call"; resolve: (result: CallResult) => void; deadline: number }
  | { kind: "publish"; gather: PublishGather; deadline: number };

/** The requests one peer has yet to answer, oldest first. */
export class Requests {
  readonly #pending = new Map<number, Pending>();
  #last = 0;

  get size(): number {
    return this.#pending.size;
  }

  add(pending: Pending): number {
    this.#pending.set(++this.#last, pending);
    return this.#last;
  }

  /** The request that was answered; `undefined` when it was given up before, or was of another kind. */
  take<K extends Pending["kind"]>(id: number, kind: K): Extract<Pending, { kind: K }> | undefined {
    const pending = this.#pending.get(id);
    if (pending?.kind !== kind) return undefined;
    this.#pending.delete(id);
    return pending as Extract<Pending, { kind: K }>;
  }

  /** Fails one that could not be sent. */
  fail(id: number, reason: string): void {
    const pending = this.#pending.get(id);
    if (pending !== undefined && this.#pending.delete(id)) failRequest(pending, reason);
  }

  /** Fails those whose time is up; returns how many. `now` and the deadlines are on the same clock. */
  expire(now: number, reason: string): number {
    let expired = 0;
    for (const [id, pending] of this.#pending) {
      // All have the same time limit, so the first that has time left ends the search.
      if (pending.deadline > now) break;
      this.#pending.delete(id);
      failRequest(pending, reason);
      expired++;
    }
    return expired;
  }

  /** Fails all of them; returns how many. */
  failAll(reason: string): number {
    const failed = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of failed) failRequest(pending, reason);
    return failed.length;
  }
}

function failRequest(pending: Pending, reason: string): void {
  if (pending.kind === "send") pending.resolve(reason);
  else if (pending.kind === "call") pending.resolve({ error: reason });
  // How many subscribers the peer had is not known, only that there was one.
  else pending.gather.add(1, 1);
}
