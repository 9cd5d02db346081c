/** One message a script pushed: who it came from, and its `data` as JSON text, made once and embedded in every dialect's event. */
export interface QueueMessage {
  /** The client's id; 0 when no connection was involved (`init`). */
  readonly clientId: number;
  /** Node id of the engine the client is connected to. */
  readonly nodeId: string;
  readonly topic: string;
  /** JSON text. */
  readonly data: string;
}

/**
 * Someone who takes messages: an API connection, or a peer engine that has consumers. `take` may refuse by returning false
 * (it does not read); the queue then leaves it alone until `Queues.resume(consumer)`.
 */
export interface Consumer {
  /** True for a peer engine, false for an API connection of this node. */
  readonly remote: boolean;
  take(message: QueueMessage): boolean;
  /** Its share of the topic: 1 for an API connection, the number of its consumers for a peer engine. */
  weight(topic: string): number;
}

export interface QueueLimits {
  /** Messages that may wait in one topic. */
  topicSize: number;
  maxTopics: number;
}

export interface TopicStats {
  depth: number;
  size: number;
  consumers: number;
  pushed: number;
  popped: number;
  rejected: number;
}

interface Slot {
  consumer: Consumer;
  /** Smooth weighted round robin: the slot with the highest credit is served and pays the total weight. */
  credit: number;
  paused: boolean;
}

const MAX_TOPIC_LENGTH = 1024;

/** A first-in first-out list that reuses its front instead of shifting the array at every message. */
class Backlog {
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

class Topic {
  readonly backlog = new Backlog();
  readonly slots: Slot[] = [];
  pushed = 0;
  popped = 0;
  rejected = 0;
  /** True once something was pushed or the topic got a size of its own: only such topics count against `maxTopics`. */
  held = false;
  #pumping = false;
  /** Where `deliverLocal` begins to look for a consumer. */
  #turn = 0;
  /** Whether a consumer that reads again is offered the peers' messages before this topic's own; changes every time. */
  peersFirst = false;

  constructor(
    readonly name: string,
    public size: number,
  ) {}

  get unused(): boolean {
    return !this.held && this.slots.length === 0;
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
      this.popped++;
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

/**
 * This node's topics. A message is kept, bounded, on the engine where it was pushed until exactly one consumer takes it;
 * the consumers of one topic, here and on other engines, share it evenly.
 */
export class Queues {
  readonly #topics = new Map<string, Topic>();
  readonly #limits: QueueLimits;
  #held = 0;
  #topicsRefused = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Called when a topic gets or loses consumers connected to this node; `count` is how many there are now. */
  onConsumers: (topic: string, count: number) => void = () => {};

  /** Called when a consumer reads again: it may be handed what peer engines sent for it. */
  onReady: (topic: string) => void = () => {};

  /** Keeps the message or hands it out at once. Returns how many wait in the topic now, or why it was refused. */
  push(message: QueueMessage): number | { error: string } {
    const topic = this.#hold(message.topic);
    if ("error" in topic) return topic;
    if (topic.backlog.length >= topic.size) {
      topic.rejected++;
      return { error: `topic "${message.topic}" is full: ${topic.size} messages wait and nobody takes them` };
    }
    topic.backlog.push(message);
    topic.pushed++;
    if (topic.slots.length > 0) topic.pump();
    return topic.backlog.length;
  }

  /** Gives a topic a size of its own. */
  declare(name: string, size: number): { error: string } | undefined {
    if (!Number.isInteger(size) || size < 1 || size > 100_000_000) {
      return { error: `a topic's size is an integer from 1 to 100000000, found ${size}` };
    }
    const topic = this.#hold(name);
    if ("error" in topic) return topic;
    topic.size = size;
    return undefined;
  }

  /** False when this consumer already has the topic. */
  addConsumer(name: string, consumer: Consumer): boolean | { error: string } {
    const topic = this.#topic(name);
    if ("error" in topic) return topic;
    if (topic.slots.some((slot) => slot.consumer === consumer)) return false;
    topic.slots.push({ consumer, credit: 0, paused: false });
    if (!consumer.remote) this.onConsumers(name, this.localConsumers(name));
    this.#ready(topic);
    return true;
  }

  removeConsumer(name: string, consumer: Consumer): boolean {
    const topic = this.#topics.get(name);
    const index = topic?.slots.findIndex((slot) => slot.consumer === consumer) ?? -1;
    if (topic === undefined || index < 0) return false;
    topic.slots.splice(index, 1);
    if (!consumer.remote) this.onConsumers(name, this.localConsumers(name));
    if (topic.unused) this.#topics.delete(name);
    return true;
  }

  /** The consumer reads again. */
  resume(name: string, consumer: Consumer): void {
    const topic = this.#topics.get(name);
    const slot = topic?.slots.find((candidate) => candidate.consumer === consumer);
    if (topic === undefined || slot === undefined) return;
    slot.paused = false;
    this.#ready(topic);
  }

  /**
   * Hands a message that a peer engine keeps to a consumer of this node, never on to another engine. False when none of them
   * takes it now.
   */
  deliverLocal(message: QueueMessage): boolean {
    return this.#topics.get(message.topic)?.deliverLocal(message) ?? false;
  }

  /** How many consumers of the topic are connected to this node. */
  localConsumers(name: string): number {
    let count = 0;
    for (const slot of this.#topics.get(name)?.slots ?? []) if (!slot.consumer.remote) count++;
    return count;
  }

  /** The topics with consumers connected to this node. */
  *consumedTopics(): Generator<string> {
    for (const name of this.#topics.keys()) if (this.localConsumers(name) > 0) yield name;
  }

  /** Takes back messages that were handed to a consumer but never reached it, oldest first. */
  restore(name: string, messages: QueueMessage[]): void {
    const topic = this.#topics.get(name);
    if (topic === undefined || messages.length === 0) return;
    topic.backlog.restore(messages);
    topic.popped -= messages.length;
    topic.pump();
  }

  /** Messages and sizes refused because there were `maxTopics` already. */
  get topicsRefused(): number {
    return this.#topicsRefused;
  }

  stats(): Map<string, TopicStats> {
    const stats = new Map<string, TopicStats>();
    for (const topic of this.#topics.values()) {
      const { backlog, size, slots, pushed, popped, rejected } = topic;
      stats.set(topic.name, { depth: backlog.length, size, consumers: slots.length, pushed, popped, rejected });
    }
    return stats;
  }

  #topic(name: string): Topic | { error: string } {
    let topic = this.#topics.get(name);
    if (topic !== undefined) return topic;
    if (name === "" || name.length > MAX_TOPIC_LENGTH) {
      return { error: `a topic name has 1 to ${MAX_TOPIC_LENGTH} characters, this one has ${name.length}` };
    }
    topic = new Topic(name, this.#limits.topicSize);
    this.#topics.set(name, topic);
    return topic;
  }

  /** The topic as one that may hold messages, of which there are at most `maxTopics`. */
  #hold(name: string): Topic | { error: string } {
    const known = this.#topics.get(name);
    if (known?.held) return known;
    if (this.#held >= this.#limits.maxTopics) {
      this.#topicsRefused++;
      return { error: `too many topics: ${this.#limits.maxTopics} exist already (engine.luavm.queue.maxTopics)` };
    }
    const topic = this.#topic(name);
    if ("error" in topic) return topic;
    topic.held = true;
    this.#held++;
    return topic;
  }

  /** A consumer takes messages now: own ones and those of the peers, which come first in turns so that neither starves. */
  #ready(topic: Topic): void {
    topic.peersFirst = !topic.peersFirst;
    if (topic.peersFirst) this.onReady(topic.name);
    topic.pump();
    if (!topic.peersFirst) this.onReady(topic.name);
  }
}
