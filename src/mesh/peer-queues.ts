import type { Queues } from "../hub/queue.ts";
import { FrameError, type FrameReader, FrameType } from "./frame.ts";
import type { Inbox, InboxStream, Sender } from "./inbox.ts";
import type { Link } from "./link.ts";
import { RemoteConsumer } from "./remote-consumer.ts";

/** What the peer says about the topics at the beginning of a link. */
interface Snapshot {
  counts: Map<string, number>;
  positions: Map<string, { received: number; delivered: number }>;
}

/**
 * Queued messages between this engine and one peer, in both directions: a `RemoteConsumer` for each topic the peer has
 * consumers of, an `InboxStream` for each topic it sends messages of. Both outlive a link and go on where they were on the next.
 */
export class PeerQueues implements Sender {
  /** Messages handed to the peer of which it will never be known whether they arrived. */
  lost = 0;
  readonly #queues: Queues;
  readonly #inbox: Inbox;
  readonly #consumers = new Map<string, RemoteConsumer>();
  readonly #streams = new Map<string, InboxStream>();
  #unconfirmed: InboxStream[] = [];
  #link: Link | undefined;
  #snapshot: Snapshot | undefined;

  constructor(
    readonly id: string,
    queues: Queues,
    inbox: Inbox,
  ) {
    this.#queues = queues;
    this.#inbox = inbox;
  }

  /** Messages handed to the peer that it has not confirmed yet. */
  get unconfirmed(): number {
    let count = 0;
    for (const consumer of this.#consumers.values()) count += consumer.unconfirmed;
    return count;
  }

  /** A new link: tells the peer this side's consumers, and how far its messages came. */
  linked(link: Link): void {
    this.#link = link;
    for (const topic of this.#queues.consumedTopics()) this.tellConsumers(topic, this.#queues.localConsumers(topic));
    for (const stream of this.#streams.values()) {
      link.writer.begin(FrameType.position);
      link.writer.number(stream.received);
      link.writer.number(stream.delivered);
      link.writer.text(stream.topic);
      link.finish();
    }
  }

  snapshotBegan(): void {
    this.#snapshot = { counts: new Map(), positions: new Map() };
  }

  /** The peer has said where it is: what it did not get is sent again, and it takes part in its topics. */
  snapshotEnded(): void {
    const snapshot = this.#snapshot;
    if (snapshot === undefined || this.#link === undefined) throw new FrameError("the end of no snapshot");
    this.#snapshot = undefined;
    for (const topic of snapshot.counts.keys()) this.#consumer(topic);
    for (const [topic, consumer] of this.#consumers) {
      const position = snapshot.positions.get(topic);
      consumer.setCount(snapshot.counts.get(topic) ?? 0);
      consumer.linked(this.#link, position?.received, position?.delivered);
    }
  }

  unlinked(): void {
    this.#link = undefined;
    this.#snapshot = undefined;
    for (const consumer of this.#consumers.values()) consumer.unlinked();
    // What was on its way when it was given back went down with the link.
    for (const stream of this.#streams.values()) stream.returning = false;
  }

  /** The peer is gone for good, or has forgotten this engine: both directions start anew. Returns how many messages are lost. */
  abandon(): number {
    let lost = 0;
    for (const consumer of this.#consumers.values()) lost += consumer.abandon();
    for (const stream of this.#streams.values()) this.#inbox.detach(stream);
    this.#streams.clear();
    this.#unconfirmed = [];
    this.lost += lost;
    return lost;
  }

  /** The link has taken what waited: there is room again for what was held back. */
  drained(): void {
    for (const consumer of this.#consumers.values()) consumer.resume();
  }

  tellConsumers(topic: string, count: number): void {
    const link = this.#link;
    if (link === undefined) return;
    link.writer.begin(FrameType.consumers);
    link.writer.number(count);
    link.writer.text(topic);
    link.finish();
  }

  confirm(stream: InboxStream): void {
    if (stream.confirmDue) return;
    stream.confirmDue = true;
    this.#unconfirmed.push(stream);
    this.#link?.schedule();
  }

  giveBack(stream: InboxStream): boolean {
    return this.#tell(FrameType.return, stream);
  }

  /** One confirmation a turn for each topic, whatever its number of messages. */
  flushConfirmations(): void {
    if (this.#unconfirmed.length === 0) return;
    for (const stream of this.#unconfirmed) {
      stream.confirmDue = false;
      this.#tell(FrameType.ack, stream);
    }
    this.#unconfirmed = [];
  }

  /** False for a frame that is not about queues. */
  receive(type: number, body: FrameReader): boolean {
    if (type === FrameType.message) this.#message(body);
    else if (type === FrameType.consumers) this.#counted(body.number(), body.text());
    else if (type === FrameType.position) this.#positioned(body);
    else if (type === FrameType.ack) this.#confirmed(body.number(), body.text());
    else if (type === FrameType.return) this.#given(body.number(), body.text());
    else if (type === FrameType.returned) this.#returned(body.number(), body.text());
    else return false;
    return true;
  }

  #tell(type: number, stream: InboxStream): boolean {
    const link = this.#link;
    if (link === undefined) return false;
    link.writer.begin(type);
    link.writer.number(stream.delivered);
    link.writer.text(stream.topic);
    return link.finish();
  }

  #message(body: FrameReader): void {
    const sequence = body.number();
    const clientId = body.number();
    const topic = body.string();
    let stream = this.#streams.get(topic);
    if (stream === undefined) {
      stream = this.#inbox.open(this, topic);
      this.#streams.set(topic, stream);
    }
    this.#inbox.receive(stream, sequence, { clientId, nodeId: this.id, topic, data: body.text() });
  }

  #counted(count: number, topic: string): void {
    if (this.#snapshot !== undefined) {
      this.#snapshot.counts.set(topic, count);
      return;
    }
    let consumer = this.#consumers.get(topic);
    if (consumer === undefined) {
      consumer = this.#consumer(topic);
      if (this.#link !== undefined) consumer.linked(this.#link, undefined, undefined);
    }
    consumer.setCount(count);
    if (consumer.unused) this.#consumers.delete(topic);
  }

  #positioned(body: FrameReader): void {
    const position = { received: body.number(), delivered: body.number() };
    if (this.#snapshot === undefined) throw new FrameError("a position outside of a snapshot");
    this.#snapshot.positions.set(body.text(), position);
  }

  #confirmed(sequence: number, topic: string): void {
    const consumer = this.#consumers.get(topic);
    if (consumer === undefined) throw new FrameError(`a confirmation for topic "${topic}", which has sent nothing`);
    consumer.confirm(sequence);
  }

  #given(sequence: number, topic: string): void {
    const consumer = this.#consumers.get(topic);
    const link = this.#link;
    if (consumer === undefined || link === undefined) {
      throw new FrameError(`messages given back to topic "${topic}", which has sent nothing`);
    }
    const next = consumer.giveBack(sequence);
    link.writer.begin(FrameType.returned);
    link.writer.number(next);
    link.writer.text(topic);
    link.finish();
  }

  #returned(next: number, topic: string): void {
    const stream = this.#streams.get(topic);
    if (stream === undefined || next !== stream.delivered + 1) {
      throw new FrameError(`topic "${topic}" goes on with message ${next}, delivered ${stream?.delivered ?? 0}`);
    }
    stream.returning = false;
  }

  #consumer(topic: string): RemoteConsumer {
    let consumer = this.#consumers.get(topic);
    if (consumer === undefined) {
      consumer = new RemoteConsumer(topic, this.#queues);
      this.#consumers.set(topic, consumer);
    }
    return consumer;
  }
}
