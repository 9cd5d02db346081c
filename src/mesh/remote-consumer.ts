import type { Consumer, QueueMessage } from "../hub/consumer.ts";
import type { Queues } from "../hub/queue.ts";
import { FrameError, FrameType } from "./frame.ts";
import type { Link } from "./link.ts";

/** Most messages of one topic that one peer may have without having confirmed them, and their JSON text's length together. */
const WINDOW = 128;
const WINDOW_LENGTH = 8 * 1024 * 1024;

interface Sent {
  message: QueueMessage;
  /** Position in the link's stream of bytes behind the frame. */
  end: number;
}

/**
 * The consumers that one peer has of one topic, seen from here as a single consumer. Messages are numbered, and kept until
 * the peer confirms that it has handed them on. When the link is lost, those that never left go back to the topic at once; the
 * others wait for the peer to say how far it came, and are lost, and counted, only when it never comes back.
 */
export class RemoteConsumer implements Consumer {
  readonly remote = true;
  readonly #queues: Queues;
  #link: Link | undefined;
  #count = 0;
  /** The sequence of the oldest message kept. */
  #first = 1;
  #sent: Sent[] = [];
  #length = 0;
  #refused = false;

  constructor(
    readonly topic: string,
    queues: Queues,
  ) {
    this.#queues = queues;
  }

  /** Messages handed to the peer that it has not confirmed. */
  get unconfirmed(): number {
    return this.#sent.length;
  }

  /** Nothing was ever sent and the peer has no consumers any more: there is nothing to remember. */
  get unused(): boolean {
    return this.#count === 0 && this.#next === 1;
  }

  weight(): number {
    return this.#count;
  }

  take(message: QueueMessage): boolean {
    const link = this.#link;
    const full =
      this.#sent.length >= WINDOW || (this.#sent.length > 0 && this.#length + message.data.length > WINDOW_LENGTH);
    if (link === undefined || full || !link.hasRoom(message.data.length)) {
      this.#refused = true;
      return false;
    }
    this.#write(link, this.#first + this.#sent.length, message);
    this.#sent.push({ message, end: link.position });
    this.#length += message.data.length;
    return true;
  }

  /** The peer reads again, or has confirmed some: it may get more. */
  resume(): void {
    if (!this.#refused || this.#link === undefined) return;
    this.#refused = false;
    this.#queues.resume(this.topic, this);
  }

  /** How many consumers the peer has now. */
  setCount(count: number): void {
    const before = this.#count;
    this.#count = count;
    if (this.#link === undefined || before > 0 === count > 0) return;
    if (count > 0) this.#join();
    else this.#queues.removeConsumer(this.topic, this);
  }

  /** The peer has delivered everything up to and including `sequence`. */
  confirm(sequence: number): void {
    const count = sequence - this.#first + 1;
    if (count < 0 || count > this.#sent.length) {
      throw new FrameError(`confirmed message ${sequence} of a topic, sent ${this.#first} to ${this.#next - 1}`);
    }
    for (const { message } of this.#sent.splice(0, count)) this.#length -= message.data.length;
    this.#first = sequence + 1;
    this.resume();
  }

  /** The peer has delivered up to `sequence` and gives the rest back. Returns the sequence that the next message will have. */
  giveBack(sequence: number): number {
    this.confirm(sequence);
    this.#restore(0);
    return this.#next;
  }

  /**
   * On a new link, after the peer said that it has received up to `received` and delivered up to `delivered`; both
   * `undefined` when it has received nothing so far.
   */
  linked(link: Link, received: number | undefined, delivered: number | undefined): void {
    this.confirm(delivered ?? this.#first - 1);
    const known = (received ?? this.#first - 1) - this.#first + 1;
    if (known < 0 || known > this.#sent.length) {
      throw new FrameError(`received message ${received} of a topic, sent ${this.#first} to ${this.#next - 1}`);
    }
    this.#link = link;
    if (this.#count === 0) {
      this.#restore(known);
      return;
    }
    for (let index = known; index < this.#sent.length; index++) {
      const sent = this.#sent[index]!;
      this.#write(link, this.#first + index, sent.message);
      sent.end = link.position;
    }
    this.#join();
  }

  /** The link is gone. What had not been written to it goes back to the front of the topic. */
  unlinked(): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    this.#queues.removeConsumer(this.topic, this);
    const unwritten = this.#sent.findIndex((sent) => sent.end > link.bytesOut);
    if (unwritten >= 0) this.#restore(unwritten);
  }

  /** The peer is gone for good, or has forgotten what it received. Returns how many messages are lost with that. */
  abandon(): number {
    this.unlinked();
    const lost = this.#sent.length;
    this.#sent = [];
    this.#length = 0;
    this.#first = 1;
    return lost;
  }

  get #next(): number {
    return this.#first + this.#sent.length;
  }

  #join(): void {
    this.#refused = false;
    this.#queues.addConsumer(this.topic, this);
  }

  #restore(from: number): void {
    const messages = this.#sent.splice(from).map((sent) => sent.message);
    for (const message of messages) this.#length -= message.data.length;
    this.#queues.restore(this.topic, messages);
  }

  #write(link: Link, sequence: number, message: QueueMessage): void {
    const { writer } = link;
    writer.begin(FrameType.message);
    writer.number(sequence);
    writer.number(message.clientId);
    writer.string(this.topic);
    writer.text(message.data);
    link.finish();
  }
}
