import type { Waiting } from "./backlog.ts";
import type { Consumer, QueueMessage } from "./consumer.ts";
import { nameError } from "./name.ts";
import { Topic } from "./topic.ts";
import { type Counts, TopicCounts } from "./topic-counts.ts";

export interface QueueLimits {
  /** Messages that may wait in one topic. */
  topicSize: number;
  /** Topics that hold messages, or have held some and are not forgotten. */
  maxTopics: number;
  /** Bytes that may wait in all topics together, about: a text counts its UTF-16 units. */
  maxBytes: number;
}

export interface TopicStats extends Counts {
  depth: number;
  size: number;
  consumers: number;
}

/**
 * This node's topics. A message is kept, bounded, on the engine where it was pushed until exactly one consumer takes it;
 * the consumers of one topic, here and on other engines, share it evenly.
 */
export class Queues {
  readonly #topics = new Map<string, Topic>();
  readonly #limits: QueueLimits;
  readonly #counts = new TopicCounts();
  readonly #waiting: Waiting = { bytes: 0 };
  #held = 0;
  /** Held topics that may be forgotten when there are too many, the one longest unused first. */
  readonly #idle = new Set<Topic>();
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
      topic.counts.rejected++;
      return { error: `topic "${message.topic}" is full: ${topic.size} messages wait and nobody takes them` };
    }
    const { maxBytes } = this.#limits;
    if (this.#waiting.bytes + message.data.length > maxBytes && !topic.flowing) {
      topic.counts.rejected++;
      // It may be held since this push only, and empty.
      this.#settle(topic);
      return {
        error: `the queues are full: ${this.#waiting.bytes} bytes wait in all topics, at most ${maxBytes} may (engine.luavm.queue.maxBytes)`,
      };
    }
    topic.backlog.push(message);
    topic.counts.pushed++;
    if (topic.slots.length > 0) topic.pump();
    const waiting = topic.backlog.length;
    // Only the first message in, and the last one out to a consumer that left with it, change whether the topic is idle.
    if (waiting <= 1 && topic.slots.length === 0) this.#settle(topic);
    return waiting;
  }

  /** Gives a topic a size of its own; it is never forgotten then. */
  declare(name: string, size: number): { error: string } | undefined {
    if (!Number.isInteger(size) || size < 1 || size > 100_000_000) {
      return { error: `a topic's size is an integer from 1 to 100000000, found ${size}` };
    }
    const topic = this.#hold(name);
    if ("error" in topic) return topic;
    topic.size = size;
    topic.declared = true;
    this.#settle(topic);
    return undefined;
  }

  /** False when this consumer already has the topic. */
  addConsumer(name: string, consumer: Consumer): boolean | { error: string } {
    const error = nameError("topic", name);
    if (error !== undefined) return { error };
    const topic = this.#topic(name);
    if (topic.slots.some((slot) => slot.consumer === consumer)) return false;
    topic.slots.push({ consumer, credit: 0, paused: false });
    this.#settle(topic);
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
    this.#settle(topic);
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

  /**
   * Takes back messages that were handed to a consumer but never reached it, oldest first; all of them, also when the topic has
   * been forgotten meanwhile and there are `maxTopics` others.
   */
  restore(name: string, messages: QueueMessage[]): void {
    if (messages.length === 0) return;
    const topic = this.#topic(name);
    this.#keep(topic);
    topic.backlog.restore(messages);
    const { counts } = topic;
    // A topic that starts anew counts them as pushed: nothing was popped from it.
    const unpopped = Math.min(counts.popped, messages.length);
    counts.popped -= unpopped;
    counts.pushed += messages.length - unpopped;
    topic.pump();
    this.#settle(topic);
  }

  /** Messages and sizes refused because there were `maxTopics` already. */
  get topicsRefused(): number {
    return this.#topicsRefused;
  }

  /** Bytes that wait in all topics together. */
  get waitingBytes(): number {
    return this.#waiting.bytes;
  }

  get maxBytes(): number {
    return this.#limits.maxBytes;
  }

  stats(): Map<string, TopicStats> {
    const stats = new Map<string, TopicStats>();
    for (const { name, backlog, size, slots, counts } of this.#topics.values()) {
      stats.set(name, { depth: backlog.length, size, consumers: slots.length, ...counts });
    }
    return stats;
  }

  /** Counts since the start by topic, forgotten ones included; names beyond the first 200 together as `other`. */
  counts(): Iterable<readonly [topic: string, Counts]> {
    return this.#counts.totals(this.#topics.values());
  }

  #topic(name: string): Topic {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new Topic(name, this.#limits.topicSize, this.#waiting);
      this.#topics.set(name, topic);
    }
    return topic;
  }

  /** The topic as one that may hold messages, of which there are at most `maxTopics`. */
  #hold(name: string): Topic | { error: string } {
    const known = this.#topics.get(name);
    if (known?.held) return known;
    const error = nameError("topic", name);
    if (error !== undefined) return { error };
    const { maxTopics } = this.#limits;
    while (this.#held >= maxTopics && this.#forgetOne()) {}
    if (this.#held >= maxTopics) {
      this.#topicsRefused++;
      return {
        error: `too many topics: ${maxTopics} have messages, consumers or a size of their own (engine.luavm.queue.maxTopics)`,
      };
    }
    const topic = this.#topic(name);
    this.#keep(topic);
    return topic;
  }

  #keep(topic: Topic): void {
    if (topic.held) return;
    topic.held = true;
    topic.counts = this.#counts.open(topic.name);
    this.#held++;
  }

  /** To be called when a topic may have become idle, or has been used: forgets it, or notes whether it may be forgotten. */
  #settle(topic: Topic): void {
    // A consumer may have left from inside `take`, and the topic with it.
    if (this.#topics.get(topic.name) !== topic) return;
    if (!topic.idle) this.#idle.delete(topic);
    else if (topic.held) this.#idle.add(topic);
    else this.#topics.delete(topic.name);
  }

  /** False when every topic is needed. */
  #forgetOne(): boolean {
    const [topic] = this.#idle;
    if (topic === undefined) return false;
    this.#idle.delete(topic);
    this.#topics.delete(topic.name);
    this.#counts.close(topic.name, topic.counts);
    this.#held--;
    return true;
  }

  /** A consumer takes messages now: own ones and those of the peers, which come first in turns so that neither starves. */
  #ready(topic: Topic): void {
    topic.peersFirst = !topic.peersFirst;
    if (topic.peersFirst) this.onReady(topic.name);
    topic.pump();
    if (!topic.peersFirst) this.onReady(topic.name);
    this.#settle(topic);
  }
}
