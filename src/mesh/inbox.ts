import type { QueueMessage } from "../hub/consumer.ts";
import type { Queues } from "../hub/queue.ts";
import { FrameError } from "./frame.ts";

/** The engine a stream's messages come from, as far as the inbox needs it. */
export interface Sender {
  readonly id: string;
  /** Has `stream.delivered` confirmed to the sender soon. */
  confirm(stream: InboxStream): void;
  /** Tells the sender that everything after `stream.delivered` is its own again. False when it cannot be told now. */
  giveBack(stream: InboxStream): boolean;
}

/** One topic's messages from one peer, in the order of their sequences. */
export class InboxStream {
  /** Up to this sequence messages have come. */
  received = 0;
  /** Up to this sequence a consumer has taken them; those in between are held. */
  delivered = 0;
  /** True from giving back until the sender has taken note: what comes in between was on its way and is the sender's. */
  returning = false;
  /** Set by the sender while a confirmation is due. */
  confirmDue = false;
  /** False once the sender is gone for good. */
  attached = true;

  constructor(
    readonly sender: Sender,
    readonly topic: string,
  ) {}
}

interface Held {
  stream: InboxStream;
  sequence: number;
  message: QueueMessage;
}

interface InboxTopic {
  streams: Set<InboxStream>;
  held: Held[];
  draining: boolean;
}

/**
 * Messages that peers keep in their topics and hand to the consumers of this engine. Each goes to one consumer here; while
 * none of them reads, the few that have come already are held, and when there are none left they go back.
 */
export class Inbox {
  /** Messages that came a second time after a link was restored, and were skipped. */
  duplicates = 0;
  /** Called for each message that neither a consumer, nor its sender, nor this engine's own topic could take. */
  onLost: (message: QueueMessage, reason: string) => void = () => {};

  readonly #queues: Queues;
  readonly #topics = new Map<string, InboxTopic>();

  constructor(queues: Queues) {
    this.#queues = queues;
  }

  get held(): number {
    let held = 0;
    for (const topic of this.#topics.values()) held += topic.held.length;
    return held;
  }

  open(sender: Sender, topic: string): InboxStream {
    const stream = new InboxStream(sender, topic);
    const entry = this.#topics.get(topic);
    if (entry === undefined) this.#topics.set(topic, { streams: new Set([stream]), held: [], draining: false });
    else entry.streams.add(stream);
    return stream;
  }

  /** The sender is gone for good, or starts anew. What is held of it is still delivered. */
  detach(stream: InboxStream): void {
    stream.attached = false;
    const entry = this.#topics.get(stream.topic);
    entry?.streams.delete(stream);
    if (entry?.streams.size === 0 && entry.held.length === 0) this.#topics.delete(stream.topic);
  }

  receive(stream: InboxStream, sequence: number, message: QueueMessage): void {
    if (stream.returning) return;
    if (sequence <= stream.received) {
      this.duplicates++;
      return;
    }
    if (sequence !== stream.received + 1) {
      throw new FrameError(`message ${sequence} of a topic after message ${stream.received}`);
    }
    stream.received = sequence;
    const held = this.#topics.get(stream.topic)!.held;
    held.push({ stream, sequence, message });
    if (held.length === 1) this.drain(stream.topic);
  }

  /** Hands out what is held, as far as consumers take it. */
  drain(topic: string): void {
    const entry = this.#topics.get(topic);
    // A consumer may resume from inside `take`; the loop that is running picks that up.
    if (entry === undefined || entry.draining) return;
    entry.draining = true;
    try {
      while (entry.held.length > 0 && this.#handOut(entry)) {}
    } finally {
      entry.draining = false;
    }
    if (entry.held.length > 0 && this.#queues.localConsumers(topic) === 0) this.giveBack(topic);
  }

  /** False when nobody takes the oldest message held. */
  #handOut({ held }: InboxTopic): boolean {
    // Taken out first: a consumer may leave from inside `take`, and what is held then goes back to where it came from.
    const next = held.shift()!;
    const { stream, sequence, message } = next;
    if (this.#queues.deliverLocal(message)) {
      stream.delivered = sequence;
      if (stream.attached) stream.sender.confirm(stream);
      return true;
    }
    const givenBack = stream.attached && stream.received < sequence;
    if (!givenBack) held.unshift(next);
    return givenBack;
  }

  /** This engine has no consumers of the topic any more. */
  giveBack(topic: string): void {
    const entry = this.#topics.get(topic);
    if (entry === undefined) return;
    for (const { stream, message } of entry.held.splice(0)) if (!stream.attached) this.#adopt(message);
    for (const stream of entry.streams) {
      if (stream.returning) continue;
      stream.received = stream.delivered;
      stream.returning = stream.sender.giveBack(stream);
    }
  }

  /** The sender is no more, so the message becomes this engine's own. */
  #adopt(message: QueueMessage): void {
    const result = this.#queues.push(message);
    if (typeof result !== "number") this.onLost(message, result.error);
  }
}
