import type { QueueMessage } from "./consumer.ts";

/** A first-in first-out list that reuses its front instead of shifting the array at every message. */
export class Backlog {
  #items: (QueueMessage | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(message: QueueMessage): void {
    this.#items.push(message);
  }

  peek(): QueueMessage | undefined {
    return this.#items[this.#head];
  }

  drop(): void {
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
  }
}
