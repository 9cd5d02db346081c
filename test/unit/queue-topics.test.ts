import { beforeEach, expect, test } from "bun:test";
import type { QueueMessage } from "../../src/hub/consumer.ts";
import { Queues } from "../../src/hub/queue.ts";
import { MemoryConsumer } from "../support/memory-consumer.ts";

let queues: Queues;
beforeEach(() => {
  queues = new Queues({ topicSize: 1000, maxTopics: 3, maxBytes: 1_000_000_000 });
});

const message = (data: number, topic = "jobs"): QueueMessage => ({ clientId: 1, nodeId: "n", topic, data: `${data}` });
function push(from: number, to: number, topic = "jobs"): void {
  for (let n = from; n < to; n++) expect(typeof queues.push(message(n, topic))).toBe("number");
}

/** Pushes one message and takes it, so that the topic is left empty. */
function use(topic: string): void {
  push(0, 1, topic);
  const consumer = new MemoryConsumer();
  queues.addConsumer(topic, consumer);
  queues.removeConsumer(topic, consumer);
  expect(consumer.numbers).toEqual([0]);
}
const names = () => [...queues.stats().keys()];
const tooMany = { error: expect.stringContaining("too many topics: 3") };

test("topics that hold messages are bounded; consuming alone does not count", () => {
  for (let n = 0; n < 10; n++) expect(queues.addConsumer(`consumed${n}`, new MemoryConsumer())).toBe(true);
  for (const topic of ["a", "b", "c"]) push(0, 1, topic);
  expect(queues.push(message(0, "d"))).toMatchObject(tooMany);
  expect(queues.declare("d", 5)).toMatchObject(tooMany);
  expect(queues.topicsRefused).toBe(2);
  expect(queues.push(message(1, "a"))).toBe(2);
  expect(names()).not.toContain("d");
});

test("topics that are empty make room when there are too many, the one longest unused first", () => {
  for (const topic of ["a", "b", "c"]) use(topic);
  use("a");
  expect(names()).toEqual(["a", "b", "c"]);
  use("d");
  expect(names()).toEqual(["a", "c", "d"]);
  use("e");
  expect(names()).toEqual(["a", "d", "e"]);
  for (let n = 0; n < 10_000; n++) use(`user ${n}`);
  expect(names()).toEqual(["user 9997", "user 9998", "user 9999"]);
  expect(queues.topicsRefused).toBe(0);
});

test("topics with messages, consumers here or elsewhere, or a size of their own stay", () => {
  push(0, 1, "waiting");
  queues.declare("sized", 5);
  for (const remote of [false, true]) {
    queues.addConsumer("consumed", new MemoryConsumer(remote));
    push(0, 1, "consumed");
    expect(queues.push(message(0, "d"))).toMatchObject(tooMany);
    expect(names()).toEqual(["waiting", "sized", "consumed"]);
  }
});

test("topics are not forgotten once they are used again", () => {
  for (const topic of ["a", "b", "c"]) use(topic);
  push(0, 1, "a");
  queues.declare("b", 5);
  queues.addConsumer("c", new MemoryConsumer());
  expect(queues.push(message(0, "d"))).toMatchObject(tooMany);
});

test("topics are forgotten also when the consumer leaves while it takes the last message", () => {
  for (const topic of ["a", "b", "c"]) {
    const consumer = new MemoryConsumer();
    consumer.take = () => queues.removeConsumer(topic, consumer);
    queues.addConsumer(topic, consumer);
    push(0, 1, topic);
  }
  push(0, 1, "d");
  expect(names()).toEqual(["b", "c", "d"]);
});

test("topics take back what did not arrive after they were forgotten, beyond the bound", () => {
  use("a");
  for (const topic of ["b", "c", "d"]) push(0, 1, topic);
  expect(names()).not.toContain("a");
  queues.restore("a", [message(0, "a")]);
  expect(queues.stats().get("a")).toMatchObject({ depth: 1, pushed: 1, popped: 0 });
  expect(queues.push(message(0, "e"))).toMatchObject(tooMany);
  // There are four now: forgetting one of them makes no room yet.
  for (const [topic, pushed] of [
    ["a", tooMany],
    ["b", 1],
  ] as const) {
    const consumer = new MemoryConsumer();
    queues.addConsumer(topic, consumer);
    expect(queues.removeConsumer(topic, consumer)).toBe(true);
    expect(queues.push(message(0, "e"))).toEqual(pushed);
  }
  expect(names()).toEqual(["c", "d", "e"]);
});

test("topics are counted on when they come back, those beyond 200 names together", () => {
  for (let round = 1; round <= 2; round++) {
    for (let n = 0; n < 300; n++) use(`user ${n}`);
    const counts = new Map(queues.counts());
    expect(counts.size).toBe(201);
    expect(counts.get("user 0")).toEqual({ pushed: round, popped: round, rejected: 0 });
    expect(counts.get("other")).toEqual({ pushed: 100 * round, popped: 100 * round, rejected: 0 });
  }
});

test("topics that got nothing because too many bytes wait make room too", () => {
  queues = new Queues({ topicSize: 1000, maxTopics: 3, maxBytes: 1 });
  push(0, 1, "a");
  const full = { error: expect.stringContaining("the queues are full") };
  for (const topic of ["b", "c", "d", "e"]) expect(queues.push(message(0, topic))).toMatchObject(full);
  expect(names()).toEqual(["a", "d", "e"]);
});

test("the bytes that wait in all topics are bounded; what is taken at once passes", () => {
  queues = new Queues({ topicSize: 1000, maxTopics: 3, maxBytes: 100 });
  const text = (topic: string, length: number): QueueMessage => ({ ...message(0, topic), data: "1".repeat(length) });
  const full = { error: expect.stringMatching(/the queues are full: 90 bytes wait in all topics, at most 100 may/) };
  expect(queues.push(text("a", 60))).toBe(1);
  expect(queues.push(text("b", 30))).toBe(1);
  expect(queues.push(text("b", 11))).toMatchObject(full);
  expect([queues.waitingBytes, queues.maxBytes]).toEqual([90, 100]);
  expect(queues.stats().get("b")).toMatchObject({ depth: 1, pushed: 1, rejected: 1 });
  const consumer = new MemoryConsumer();
  queues.addConsumer("c", consumer);
  expect(queues.push(text("c", 500))).toBe(0);
  expect(queues.push(text("b", 11))).toMatchObject(full);

  queues.addConsumer("a", consumer);
  expect(queues.push(text("b", 70))).toBe(2);
  queues.restore("a", [text("a", 60)]);
  queues.removeConsumer("a", consumer);
  expect(queues.push(text("b", 1))).toMatchObject({ error: expect.stringContaining("100 bytes wait") });
});
