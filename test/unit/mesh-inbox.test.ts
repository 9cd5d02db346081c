import { beforeEach, describe, expect, test } from "bun:test";
import { Queues } from "../../src/hub/queue.ts";
import { Inbox, type InboxStream, type Sender } from "../../src/mesh/inbox.ts";
import { MemoryConsumer } from "../support/memory-consumer.ts";

class TestSender implements Sender {
  readonly confirmed: number[] = [];
  readonly givenBack: number[] = [];
  reachable = true;
  constructor(readonly id: string) {}

  confirm(stream: InboxStream): void {
    this.confirmed.push(stream.delivered);
  }

  giveBack(stream: InboxStream): boolean {
    this.givenBack.push(stream.delivered);
    return this.reachable;
  }
}

let queues: Queues;
let inbox: Inbox;
let sender: TestSender;
let stream: InboxStream;
let consumer: MemoryConsumer;

beforeEach(() => {
  queues = new Queues({ topicSize: 10, maxTopics: 10, maxBytes: 1_000_000_000 });
  inbox = new Inbox(queues);
  queues.onReady = (topic) => inbox.drain(topic);
  queues.onConsumers = (topic, count) => {
    if (count === 0) inbox.giveBack(topic);
  };
  sender = new TestSender("peer");
  stream = inbox.open(sender, "jobs");
  consumer = new MemoryConsumer();
});

function receive(...sequences: number[]): void {
  for (const sequence of sequences) {
    inbox.receive(stream, sequence, { clientId: 1, nodeId: sender.id, topic: "jobs", data: `${sequence}` });
  }
}

describe("the inbox", () => {
  test("hands each message to one consumer and confirms it", () => {
    const other = new MemoryConsumer();
    queues.addConsumer("jobs", consumer);
    queues.addConsumer("jobs", other);
    receive(1, 2, 3, 4);
    expect([consumer.numbers, other.numbers]).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(sender.confirmed).toEqual([1, 2, 3, 4]);
    expect(inbox.held).toBe(0);
  });

  test("never hands one on to another engine", () => {
    const peer = { remote: true, weight: () => 5, take: () => expect.unreachable("to a peer") };
    queues.addConsumer("jobs", peer);
    receive(1);
    expect(sender.givenBack).toEqual([0]);
  });

  test("skips what it has had and objects to a gap", () => {
    queues.addConsumer("jobs", consumer);
    receive(1, 2, 1, 2, 3);
    expect(consumer.numbers).toEqual([1, 2, 3]);
    expect(inbox.duplicates).toBe(2);
    expect(() => receive(5)).toThrow("message 5 of a topic after message 3");
  });

  test("holds messages while nobody reads, and goes on in order", () => {
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    receive(1, 2, 3);
    expect(inbox.held).toBe(3);
    expect(stream).toMatchObject({ received: 3, delivered: 0 });
    consumer.reads = true;
    queues.resume("jobs", consumer);
    receive(4);
    expect(consumer.numbers).toEqual([1, 2, 3, 4]);
    expect(stream).toMatchObject({ received: 4, delivered: 4 });
  });

  test("gives back what it holds when the last consumer leaves, and ignores what was still on its way", () => {
    queues.addConsumer("jobs", consumer);
    receive(1);
    consumer.reads = false;
    receive(2, 3);
    queues.removeConsumer("jobs", consumer);
    expect(sender.givenBack).toEqual([1]);
    expect(inbox.held).toBe(0);
    consumer.reads = true;
    queues.addConsumer("jobs", consumer);
    receive(4, 5);
    expect(consumer.numbers).toEqual([1]);
    // The sender has taken note and starts again behind what was delivered.
    stream.returning = false;
    receive(2, 3);
    expect(consumer.numbers).toEqual([1, 2, 3]);
  });

  test("with the link down there is nothing on its way to ignore", () => {
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    receive(1, 2);
    sender.reachable = false;
    queues.removeConsumer("jobs", consumer);
    expect(stream).toMatchObject({ received: 0, delivered: 0, returning: false });
  });

  test("a consumer that leaves from inside take, refusing, leaves the message to its sender", () => {
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    consumer.onTake = () => queues.removeConsumer("jobs", consumer);
    receive(1, 2);
    expect(consumer.numbers).toEqual([]);
    expect(inbox.held).toBe(0);
    expect(sender.givenBack).toEqual([0]);
  });

  test("a consumer that resumes from inside take gets everything once, in order", () => {
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    receive(1, 2, 3);
    consumer.reads = true;
    consumer.onTake = () => queues.resume("jobs", consumer);
    queues.resume("jobs", consumer);
    expect(consumer.numbers).toEqual([1, 2, 3]);
    expect(stream.delivered).toBe(3);
  });

  test("what a sender that is gone left here is still delivered", () => {
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    receive(1, 2);
    inbox.detach(stream);
    consumer.reads = true;
    queues.resume("jobs", consumer);
    expect(consumer.numbers).toEqual([1, 2]);
    expect(sender.confirmed).toEqual([]);
  });

  test("what a sender that is gone left here becomes this engine's own when nobody consumes", () => {
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    receive(1, 2);
    inbox.detach(stream);
    queues.removeConsumer("jobs", consumer);
    expect(inbox.held).toBe(0);
    expect(queues.stats().get("jobs")?.depth).toBe(2);
    const later = new MemoryConsumer();
    queues.addConsumer("jobs", later);
    expect(later.numbers).toEqual([1, 2]);
  });

  test("what even the own topic cannot take is told", () => {
    const lost: string[] = [];
    inbox.onLost = (message, reason) => lost.push(`${message.data}: ${reason}`);
    queues.declare("jobs", 1);
    queues.addConsumer("jobs", consumer);
    consumer.reads = false;
    receive(1, 2);
    inbox.detach(stream);
    queues.removeConsumer("jobs", consumer);
    expect(lost).toEqual([expect.stringContaining('2: topic "jobs" is full')]);
  });
});
