import { beforeEach, describe, expect, test } from "bun:test";
import type { Consumer, QueueMessage } from "../../src/hub/consumer.ts";
import { Queues } from "../../src/hub/queue.ts";

class TestConsumer implements Consumer {
  readonly got: string[] = [];
  /** How many more it takes before it refuses. */
  room = Number.POSITIVE_INFINITY;
  constructor(
    readonly remote = false,
    readonly share = 1,
  ) {}

  take(message: QueueMessage): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.got.push(message.data);
    return true;
  }

  weight(): number {
    return this.share;
  }
}

let queues: Queues;
beforeEach(() => {
  queues = new Queues({ topicSize: 1000, maxTopics: 3 });
});

const message = (data: number, topic = "jobs"): QueueMessage => ({ clientId: 1, nodeId: "n", topic, data: `${data}` });
function push(from: number, to: number, topic = "jobs"): void {
  for (let n = from; n < to; n++) expect(typeof queues.push(message(n, topic))).toBe("number");
}
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `${from + index}`);

describe("a topic", () => {
  test("keeps messages until a consumer comes, in order", () => {
    expect(queues.push(message(0))).toBe(1);
    push(1, 500);
    const consumer = new TestConsumer();
    expect(queues.addConsumer("jobs", consumer)).toBe(true);
    push(500, 600);
    expect(consumer.got).toEqual(range(0, 600));
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
    const consumer = new TestConsumer();
    queues.addConsumer("jobs", consumer);
    expect(consumer.got).toEqual(range(0, 1000));
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
    expect(queues.addConsumer("x".repeat(1025), new TestConsumer())).toMatchObject({
      error: expect.stringContaining("this one has 1025"),
    });
  });
});

describe("topics", () => {
  /** Pushes one message and takes it, so that the topic is left empty. */
  function use(topic: string): void {
    push(0, 1, topic);
    const consumer = new TestConsumer();
    queues.addConsumer(topic, consumer);
    queues.removeConsumer(topic, consumer);
    expect(consumer.got).toEqual(["0"]);
  }
  const names = () => [...queues.stats().keys()];
  const tooMany = { error: expect.stringContaining("too many topics: 3") };

  test("that hold messages are bounded; consuming alone does not count", () => {
    for (let n = 0; n < 10; n++) expect(queues.addConsumer(`consumed${n}`, new TestConsumer())).toBe(true);
    for (const topic of ["a", "b", "c"]) push(0, 1, topic);
    expect(queues.push(message(0, "d"))).toMatchObject(tooMany);
    expect(queues.declare("d", 5)).toMatchObject(tooMany);
    expect(queues.topicsRefused).toBe(2);
    expect(queues.push(message(1, "a"))).toBe(2);
    expect(names()).not.toContain("d");
  });

  test("that are empty make room when there are too many, the one longest unused first", () => {
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

  test("with messages, consumers here or elsewhere, or a size of their own stay", () => {
    push(0, 1, "waiting");
    queues.declare("sized", 5);
    for (const remote of [false, true]) {
      queues.addConsumer("consumed", new TestConsumer(remote));
      push(0, 1, "consumed");
      expect(queues.push(message(0, "d"))).toMatchObject(tooMany);
      expect(names()).toEqual(["waiting", "sized", "consumed"]);
    }
  });

  test("are not forgotten once they are used again", () => {
    for (const topic of ["a", "b", "c"]) use(topic);
    push(0, 1, "a");
    queues.declare("b", 5);
    queues.addConsumer("c", new TestConsumer());
    expect(queues.push(message(0, "d"))).toMatchObject(tooMany);
  });

  test("are forgotten also when the consumer leaves while it takes the last message", () => {
    for (const topic of ["a", "b", "c"]) {
      const consumer = new TestConsumer();
      consumer.take = () => queues.removeConsumer(topic, consumer);
      queues.addConsumer(topic, consumer);
      push(0, 1, topic);
    }
    push(0, 1, "d");
    expect(names()).toEqual(["b", "c", "d"]);
  });

  test("take back what did not arrive after they were forgotten, beyond the bound", () => {
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
      const consumer = new TestConsumer();
      queues.addConsumer(topic, consumer);
      expect(queues.removeConsumer(topic, consumer)).toBe(true);
      expect(queues.push(message(0, "e"))).toEqual(pushed);
    }
    expect(names()).toEqual(["c", "d", "e"]);
  });

  test("are counted on when they come back, those beyond 200 names together", () => {
    for (let round = 1; round <= 2; round++) {
      for (let n = 0; n < 300; n++) use(`user ${n}`);
      const counts = new Map(queues.counts());
      expect(counts.size).toBe(201);
      expect(counts.get("user 0")).toEqual({ pushed: round, popped: round, rejected: 0 });
      expect(counts.get("other")).toEqual({ pushed: 100 * round, popped: 100 * round, rejected: 0 });
    }
  });
});

describe("consumers", () => {
  test("share a topic evenly", () => {
    const consumers = [new TestConsumer(), new TestConsumer(), new TestConsumer()];
    for (const consumer of consumers) queues.addConsumer("jobs", consumer);
    push(0, 900);
    expect(consumers.map(({ got }) => got.length)).toEqual([300, 300, 300]);
  });

  test("share it by weight, smoothly", () => {
    const [one, three] = [new TestConsumer(), new TestConsumer(true, 3)];
    queues.addConsumer("jobs", one);
    queues.addConsumer("jobs", three);
    push(0, 400);
    expect([one.got.length, three.got.length]).toEqual([100, 300]);
    const gaps = one.got.map(Number).map((value, index, all) => value - (all[index - 1] ?? value));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5);
  });

  test("who does not read is left alone until it resumes; the others get everything", () => {
    const [slow, quick] = [new TestConsumer(), new TestConsumer()];
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
    const consumer = new TestConsumer();
    consumer.room = 3;
    queues.addConsumer("jobs", consumer);
    push(0, 10);
    expect(queues.stats().get("jobs")).toMatchObject({ depth: 7, popped: 3 });
    consumer.room = 100;
    queues.resume("jobs", consumer);
    expect(consumer.got).toEqual(range(0, 10));
  });

  test("have a topic once; leaving without being in is told", () => {
    const consumer = new TestConsumer();
    expect(queues.addConsumer("jobs", consumer)).toBe(true);
    expect(queues.addConsumer("jobs", consumer)).toBe(false);
    expect(queues.removeConsumer("jobs", consumer)).toBe(true);
    expect(queues.removeConsumer("jobs", consumer)).toBe(false);
    expect(queues.removeConsumer("other", consumer)).toBe(false);
    queues.resume("jobs", consumer);
  });

  test("who leaves loses nothing that was still waiting", () => {
    const [first, second] = [new TestConsumer(), new TestConsumer()];
    first.room = 2;
    queues.addConsumer("jobs", first);
    push(0, 10);
    queues.removeConsumer("jobs", first);
    queues.addConsumer("jobs", second);
    expect([...first.got, ...second.got]).toEqual(range(0, 10));
  });

  test("may push and resume from inside take without upsetting the order", () => {
    const consumer = new TestConsumer();
    let more = 5;
    const take = consumer.take.bind(consumer);
    consumer.take = (next) => {
      if (more-- > 0) push(100 - more, 101 - more);
      queues.resume("jobs", consumer);
      return take(next);
    };
    queues.addConsumer("jobs", consumer);
    push(0, 2);
    expect(consumer.got).toEqual(["0", "96", "97", "98", "99", "100", "1"]);
  });

  test("are told of by number, those of this node only", () => {
    const heard: unknown[] = [];
    queues.onConsumers = (topic, count) => heard.push([topic, count]);
    const [here, alsoHere, there] = [new TestConsumer(), new TestConsumer(), new TestConsumer(true)];
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
    const consumer = new TestConsumer();
    queues.addConsumer("jobs", consumer);
    expect(consumer.got).toEqual(range(2, 10));
    queues.restore("jobs", []);
    queues.restore("unknown", []);
    expect(queues.stats().has("unknown")).toBe(false);
  });

  test("is offered to whoever reads at once", () => {
    const [gone, stays] = [new TestConsumer(true), new TestConsumer()];
    queues.addConsumer("jobs", gone);
    push(0, 4);
    queues.removeConsumer("jobs", gone);
    queues.addConsumer("jobs", stays);
    queues.restore(
      "jobs",
      range(0, 4).map((data) => message(Number(data))),
    );
    expect(stays.got).toEqual(range(0, 4));
    expect(queues.stats().get("jobs")).toMatchObject({ pushed: 4, popped: 4, depth: 0 });
  });
});

describe("a message of a peer engine", () => {
  test("goes to this node's consumers in turns, never to a peer, and is not counted as this topic's own", () => {
    const [one, two, peer] = [new TestConsumer(), new TestConsumer(), new TestConsumer(true)];
    for (const consumer of [one, peer, two]) queues.addConsumer("jobs", consumer);
    for (let n = 0; n < 10; n++) expect(queues.deliverLocal(message(n))).toBe(true);
    expect([one.got.length, two.got.length, peer.got.length]).toEqual([5, 5, 0]);
    expect(queues.stats().get("jobs")).toMatchObject({ pushed: 0, popped: 0 });
  });

  test("is refused when nobody here reads, or consumes", () => {
    expect(queues.deliverLocal(message(0))).toBe(false);
    const consumer = new TestConsumer();
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
    const consumer = new TestConsumer();
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
    expect(consumer.got.filter((data) => data !== "100")).toEqual(range(0, 4));
  });

  test("survives a consumer that leaves from inside take", () => {
    const consumer = new TestConsumer();
    consumer.take = () => {
      queues.removeConsumer("jobs", consumer);
      return false;
    };
    queues.addConsumer("jobs", consumer);
    expect(queues.deliverLocal(message(0))).toBe(false);
    expect(queues.localConsumers("jobs")).toBe(0);
  });
});
