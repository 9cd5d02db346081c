import { beforeEach, describe, expect, test } from "bun:test";
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
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe("a topic", () => {
  test("keeps messages until a consumer comes, in order", () => {
    expect(queues.push(message(0))).toBe(1);
    push(1, 500);
    const consumer = new MemoryConsumer();
    expect(queues.addConsumer("jobs", consumer)).toBe(true);
    push(500, 600);
    expect(consumer.numbers).toEqual(range(0, 600));
    expect(queues.stats().get("jobs")).toEqual({
      depth: 0,
      size: 1000,
      consumers: 1,
      pushed: 600,
      popped: 600,
      rejected: 0,
    });
  });

  test("is bounded, and a push beyond that is an error, not a loss", () => {
    push(0, 1000);
    expect(queues.push(message(1000))).toEqual({
      error: 'topic "jobs" is full: 1000 messages wait and nobody takes them',
    });
    expect(queues.stats().get("jobs")).toMatchObject({ depth: 1000, pushed: 1000, rejected: 1 });
    const consumer = new MemoryConsumer();
    queues.addConsumer("jobs", consumer);
    expect(consumer.numbers).toEqual(range(0, 1000));
    expect(queues.push(message(1001))).toBe(0);
  });

  test("may have a size of its own", () => {
    expect(queues.declare("jobs", 2)).toBeUndefined();
    push(0, 2);
    expect(queues.push(message(2))).toMatchObject({ error: expect.stringContaining("is full: 2 messages") });
    for (const size of [0, -1, 1.5, Number.NaN, 1e9]) {
      expect(queues.declare("jobs", size)).toEqual({ error: expect.stringContaining(`found ${size}`) });
    }
  });

  test("has a name of 1 to 1024 characters", () => {
    expect(queues.push(message(0, ""))).toMatchObject({ error: expect.stringContaining("this one has 0") });
    expect(queues.addConsumer("x".repeat(1025), new MemoryConsumer())).toMatchObject({
      error: expect.stringContaining("this one has 1025"),
    });
  });
});

describe("consumers", () => {
  test("share a topic evenly", () => {
    const consumers = [new MemoryConsumer(), new MemoryConsumer(), new MemoryConsumer()];
    for (const consumer of consumers) queues.addConsumer("jobs", consumer);
    push(0, 900);
    expect(consumers.map(({ got }) => got.length)).toEqual([300, 300, 300]);
  });

  test("share it by weight, smoothly", () => {
    const [one, three] = [new MemoryConsumer(), new MemoryConsumer(true, 3)];
    queues.addConsumer("jobs", one);
    queues.addConsumer("jobs", three);
    push(0, 400);
    expect([one.got.length, three.got.length]).toEqual([100, 300]);
    const gaps = one.numbers.map((value, index, all) => value - (all[index - 1] ?? value));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5);
  });

  test("who does not read is left alone until it resumes; the others get everything", () => {
    const [slow, quick] = [new MemoryConsumer(), new MemoryConsumer()];
    slow.room = 1;
    queues.addConsumer("jobs", slow);
    queues.addConsumer("jobs", quick);
    push(0, 100);
    expect([slow.got.length, quick.got.length]).toEqual([1, 99]);
    slow.room = 10;
    push(100, 110);
    expect(slow.got).toHaveLength(1);
    queues.resume("jobs", slow);
    push(110, 120);
    expect(slow.got).toHaveLength(6);
  });

  test("when none reads, messages wait, and go on in order", () => {
    const consumer = new MemoryConsumer();
    consumer.room = 3;
    queues.addConsumer("jobs", consumer);
    push(0, 10);
    expect(queues.stats().get("jobs")).toMatchObject({ depth: 7, popped: 3 });
    consumer.room = 100;
    queues.resume("jobs", consumer);
    expect(consumer.numbers).toEqual(range(0, 10));
  });

  test("have a topic once; leaving without being in is told", () => {
    const consumer = new MemoryConsumer();
    expect(queues.addConsumer("jobs", consumer)).toBe(true);
    expect(queues.addConsumer("jobs", consumer)).toBe(false);
    expect(queues.removeConsumer("jobs", consumer)).toBe(true);
    expect(queues.removeConsumer("jobs", consumer)).toBe(false);
    expect(queues.removeConsumer("other", consumer)).toBe(false);
    queues.resume("jobs", consumer);
  });

  test("who leaves loses nothing that was still waiting", () => {
    const [first, second] = [new MemoryConsumer(), new MemoryConsumer()];
    first.room = 2;
    queues.addConsumer("jobs", first);
    push(0, 10);
    queues.removeConsumer("jobs", first);
    queues.addConsumer("jobs", second);
    expect([...first.numbers, ...second.numbers]).toEqual(range(0, 10));
  });

  test("may push and resume from inside take without upsetting the order", () => {
    const consumer = new MemoryConsumer();
    let more = 5;
    const take = consumer.take.bind(consumer);
    consumer.take = (next) => {
      if (more-- > 0) push(100 - more, 101 - more);
      queues.resume("jobs", consumer);
      return take(next);
    };
    queues.addConsumer("jobs", consumer);
    push(0, 2);
    expect(consumer.numbers).toEqual([0, 96, 97, 98, 99, 100, 1]);
  });

  test("are told of by number, those of this node only", () => {
    const heard: unknown[] = [];
    queues.onConsumers = (topic, count) => heard.push([topic, count]);
    const [here, alsoHere, there] = [new MemoryConsumer(), new MemoryConsumer(), new MemoryConsumer(true)];
    queues.addConsumer("jobs", here);
    queues.addConsumer("jobs", there);
    queues.addConsumer("jobs", alsoHere);
    queues.addConsumer("remote", there);
    expect(queues.localConsumers("jobs")).toBe(2);
    expect([...queues.consumedTopics()]).toEqual(["jobs"]);
    queues.removeConsumer("jobs", there);
    queues.removeConsumer("jobs", here);
    queues.removeConsumer("jobs", alsoHere);
    expect(heard).toEqual([
      ["jobs", 1],
      ["jobs", 2],
      ["jobs", 1],
      ["jobs", 0],
    ]);
  });
});

describe("what comes back", () => {
  test("goes to the front, in its order", () => {
    push(5, 10);
    queues.restore("jobs", [message(2), message(3), message(4)]);
    const consumer = new MemoryConsumer();
    queues.addConsumer("jobs", consumer);
    expect(consumer.numbers).toEqual(range(2, 10));
    queues.restore("jobs", []);
    queues.restore("unknown", []);
    expect(queues.stats().has("unknown")).toBe(false);
  });

  test("is offered to whoever reads at once", () => {
    const [gone, stays] = [new MemoryConsumer(true), new MemoryConsumer()];
    queues.addConsumer("jobs", gone);
    push(0, 4);
    queues.removeConsumer("jobs", gone);
    queues.addConsumer("jobs", stays);
    queues.restore(
      "jobs",
      range(0, 4).map((data) => message(data)),
    );
    expect(stays.numbers).toEqual(range(0, 4));
    expect(queues.stats().get("jobs")).toMatchObject({ pushed: 4, popped: 4, depth: 0 });
  });
});

describe("a message of a peer engine", () => {
  test("goes to this node's consumers in turns, never to a peer, and is not counted as this topic's own", () => {
    const [one, two, peer] = [new MemoryConsumer(), new MemoryConsumer(), new MemoryConsumer(true)];
    for (const consumer of [one, peer, two]) queues.addConsumer("jobs", consumer);
    for (let n = 0; n < 10; n++) expect(queues.deliverLocal(message(n))).toBe(true);
    expect([one.got.length, two.got.length, peer.got.length]).toEqual([5, 5, 0]);
    expect(queues.stats().get("jobs")).toMatchObject({ pushed: 0, popped: 0 });
  });

  test("is refused when nobody here reads, or consumes", () => {
    expect(queues.deliverLocal(message(0))).toBe(false);
    const consumer = new MemoryConsumer();
    consumer.room = 1;
    queues.addConsumer("jobs", consumer);
    expect([queues.deliverLocal(message(0)), queues.deliverLocal(message(1))]).toEqual([true, false]);
    consumer.room = 1;
    expect(queues.deliverLocal(message(1))).toBe(false);
    queues.resume("jobs", consumer);
    expect(queues.deliverLocal(message(1))).toBe(true);
  });

  test("and the topic's own come first in turns when a consumer reads again", () => {
    const order: string[] = [];
    const consumer = new MemoryConsumer();
    consumer.room = 0;
    queues.addConsumer("jobs", consumer);
    push(0, 4);
    queues.onReady = (topic) => {
      if (queues.deliverLocal(message(100, topic))) order.push("peer");
    };
    for (let n = 0; n < 8; n++) {
      consumer.room = 1;
      queues.resume("jobs", consumer);
    }
    expect(order).toHaveLength(4);
    expect(consumer.numbers.filter((data) => data !== 100)).toEqual(range(0, 4));
  });

  test("survives a consumer that leaves from inside take", () => {
    const consumer = new MemoryConsumer();
    consumer.take = () => {
      queues.removeConsumer("jobs", consumer);
      return false;
    };
    queues.addConsumer("jobs", consumer);
    expect(queues.deliverLocal(message(0))).toBe(false);
    expect(queues.localConsumers("jobs")).toBe(0);
  });
});
