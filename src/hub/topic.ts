import { Backlog, type Waiting } from "./backlog.ts";
import type { Consumer, QueueMessage } from "./consumer.ts";
import { type Counts, noCounts } from "./topic-counts.ts";

interface Slot {
  consumer: Consumer;
  /** Smooth weighted round robin: the slot with the highest credit is served and pays the total weight. */
  credit: number;
  paused: boolean;
}

/** Messages that wait, and those who take them. */
export class Topic {
  readonly backlog: Backlog;
  readonly slots: Slot[] = [];
  counts: Counts = noCounts();
  /** True once something was pushed or the topic got a size of its own: only such topics count against `maxTopics`. */
  held = false;
  /** True once the topic got a size of its own, which has to be remembered. */
  declared = false;
  #pumping = false;
  /** Where `deliverLocal` begins to look for a consumer. */
  #turn = 0;
  /** Whether a consumer that reads again is offered the peers' messages before this topic's own; changes every time. */
  peersFirst = false;

  constructor(
    readonly name: string,
    public size: number,
    waiting: Waiting,
  ) {
    this.backlog = new Backlog(waiting);
  }

  /** It holds nothing that anybody would miss. */
  get idle(): boolean {
    return this.slots.length === 0 && this.backlog.length === 0 && !this.declared;
  }

  /** A message more is most likely taken at once. */
  get flowing(): boolean {
    return this.backlog.length === 0 && this.slots.some(({ paused }) => !paused);
  }

  /** Delivers what waits to whoever is ready, keeping the topic's order for each consumer. */
  pump(): void {
    // A consumer may push or resume from inside `take`; the loop that is running picks that up.
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      this.#deliver();
    } finally {
      this.#pumping = false;
    }
  }

  #deliver(): void {
    while (this.backlog.length > 0) {
      const slot = this.#next();
      if (slot === undefined) return;
      const message = this.backlog.peek();
      if (message === undefined) return;
      if (!slot.consumer.take(message)) {
        slot.paused = true;
        continue;
      }
      this.backlog.drop();
      this.counts.popped++;
    }
  }

  /** Hands a message that is not in the backlog to one of this node's consumers, each in turn. */
  deliverLocal(message: QueueMessage): boolean {
    // The list may get shorter while a consumer takes.
    for (let tried = this.slots.length; tried > 0 && this.slots.length > 0; tried--) {
      const slot = this.slots[this.#turn++ % this.slots.length]!;
      if (slot.consumer.remote || slot.paused) continue;
      if (slot.consumer.take(message)) return true;
      slot.paused = true;
    }
    return false;
  }

  #next(): Slot | undefined {
    const { slots } = this;
    if (slots.length === 1) return slots[0]!.paused ? undefined : slots[0];
    let best: Slot | undefined;
    let total = 0;
    for (const slot of slots) {
      if (slot.paused) continue;
      const weight = slot.consumer.weight(this.name);
      slot.credit += weight;
      total += weight;
      if (best === undefined || slot.credit > best.credit) best = slot;
    }
    if (best !== undefined) best.credit -= total;
    return best;
  }
}
