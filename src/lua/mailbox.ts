import type { Payload } from "../hub/connection.ts";

/** Messages of one connection that wait until its running callback has ended; bounded, oldest first. */
export class Mailbox {
  #messages: Payload[] = [];
  #head = 0;
  #bytes = 0;

  get length(): number {
    return this.#messages.length - this.#head;
  }

  /** About how much memory the messages take; a string counts its UTF-16 units. */
  get bytes(): number {
    return this.#bytes;
  }

  /** False, with nothing kept, when that would be more than `limit`. */
  push(message: Payload, limit: { messages: number; bytes: number }): boolean {
    if (this.length >= limit.messages || this.#bytes + message.length > limit.bytes) return false;
    this.#messages.push(message);
    this.#bytes += message.length;
    return true;
  }

  shift(): Payload | undefined {
    const message = this.#messages[this.#head];
    if (message === undefined) return undefined;
    this.#bytes -= message.length;
    this.#head++;
    if (this.#head === this.#messages.length) {
      this.#messages = [];
      this.#head = 0;
    } else if (this.#head >= 64) {
      this.#messages.splice(0, this.#head);
      this.#head = 0;
    }
    return message;
  }
}
