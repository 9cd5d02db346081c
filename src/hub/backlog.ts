import type { QueueMessage } from "./consumer.ts";

/** What waits in several backlogs together: the length of the messages' JSON texts. */
export interface Waiting {
  bytes: number;
}

/** A first-in first-out list that reuses its front instead of shifting the array at every message. */
export class Backlog {
  #items: (QueueMessage | undefined)[] = [];
  #head = 0;

  constructor(private readonly waiting: Waiting) {}

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(message: QueueMessage): void {
    this.#items.push(message);
    this.waiting.bytes += message.data.length;
  }

  peek(): QueueMessage | undefined {
    return this.#items[this.#head];
  }

  drop(): void {
    this.waiting.bytes -= this.peek()?.data.length ?? 0;
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Puts messages back in front, in their order: they were meant for a consumer that went away before it got them. */
  restore(messages: QueueMessage[]): void {
    this.#items = [...messages, ...this.#items.slice(this.#head)];
    this.#head = 0;
    for (const { data } of messages) this.waiting.bytes += data.length;
  }
}
