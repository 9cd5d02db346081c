import { afterEach, expect, test } from "bun:test";
import type { MeshOptions } from "../../src/mesh/mesh.ts";
import { until } from "../support/eventually.ts";
import { MemoryConsumer } from "../support/memory-consumer.ts";
import { cluster, MeshEngine } from "../support/mesh-engine.ts";
import { MeshProxy } from "../support/mesh-proxy.ts";

const running: { stop(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((part) => part.stop()));
});

async function start(options: Partial<MeshOptions> = {}): Promise<MeshEngine> {
  const engine = await MeshEngine.start(options);
  running.push(engine.mesh);
  return engine;
}

/** Two engines whose one link leads through a proxy. */
async function linkedByProxy(options: Partial<MeshOptions> = {}) {
  const [a, b] = [await start(options), await start(options)];
  const { proxy, record } = MeshProxy.before(b.record);
  running.push(proxy);
  b.record = record;
  await cluster(a, b);
  return { a, b, proxy };
}

function pushNumbers(engine: MeshEngine, topic: string, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    const waiting = engine.mesh.push(1, topic, `${n}`);
    if (typeof waiting !== "number") throw new Error(waiting.error);
  }
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
const sorted = (values: number[]) => [...values].sort((x, y) => x - y);
const ascending = (values: number[]) => values.every((value, index) => index === 0 || value > values[index - 1]!);

test("a consumer on one engine receives what is pushed on all, in each one's order, with the producer's node id", async () => {
  const engines = [await start(), await start(), await start()];
  await cluster(...engines);
  const consumer = new MemoryConsumer();
  pushNumbers(engines[0]!, "jobs", 0, 500);
  expect(engines[1]!.mesh.consume("jobs", consumer)).toBe(true);
  expect(engines[1]!.mesh.consume("jobs", consumer)).toBe(false);
  pushNumbers(engines[1]!, "jobs", 1000, 1500);
  pushNumbers(engines[2]!, "jobs", 2000, 2500);
  await until(() => consumer.got.length >= 1500);
  expect(sorted(consumer.numbers)).toEqual([...numbers(0, 500), ...numbers(1000, 1500), ...numbers(2000, 2500)]);
  for (const [index, engine] of engines.entries()) {
    const own = consumer.got.filter((message) => message.nodeId === engine.id).map(({ data }) => JSON.parse(data));
    expect(own).toEqual(numbers(index * 1000, index * 1000 + 500));
  }
  expect(consumer.got[0]).toMatchObject({ topic: "jobs", clientId: 1 });
  await until(() => engines.every(({ mesh }) => mesh.stats.peers.every((peer) => peer.queueUnconfirmed === 0)));
});

test("consumers of several engines share a topic evenly, by their number", async () => {
  const [a, b, c] = [await start(), await start(), await start()];
  await cluster(a, b, c);
  const consumers = [a, b, b, c].map((engine) => {
    const consumer = new MemoryConsumer();
    engine.mesh.consume("jobs", consumer);
    return consumer;
  });
  await until(() => a.queues.stats().get("jobs")?.consumers === 3);
  for (let round = 0; round < 40; round++) {
    pushNumbers(a, "jobs", round * 100, round * 100 + 100);
    await until(() => consumers.reduce((sum, { got }) => sum + got.length, 0) === (round + 1) * 100);
  }
  for (const { got, numbers } of consumers) {
    expect(got.length).toBeGreaterThan(800);
    expect(got.length).toBeLessThan(1200);
    expect(ascending(numbers)).toBe(true);
  }
  expect(sorted(consumers.flatMap(({ numbers }) => numbers))).toEqual(numbers(0, 4000));
});

test("a consumer that does not read leaves messages at their engine but for the window, and gets all later", async () => {
  const { a, b } = await linkedByProxy();
  const consumer = new MemoryConsumer();
  consumer.reads = false;
  b.mesh.consume("jobs", consumer);
  pushNumbers(a, "jobs", 0, 1000);
  await until(() => b.mesh.stats.queueHeld === 128);
  expect(a.queues.stats().get("jobs")?.depth).toBe(872);
  pushNumbers(b, "jobs", 5000, 5100);
  consumer.reads = true;
  b.mesh.resume("jobs", consumer);
  await until(() => consumer.got.length === 1100);
  expect(consumer.numbers.filter((n) => n < 5000)).toEqual(numbers(0, 1000));
  expect(consumer.numbers.filter((n) => n >= 5000)).toEqual(numbers(5000, 5100));
});

test("while a consumer reads now and then, neither its own engine's messages nor a peer's starve", async () => {
  const { a, b } = await linkedByProxy();
  const got: number[] = [];
  const consumer = {
    remote: false,
    reads: false,
    weight: () => 1,
    take(message: { data: string }) {
      if (!this.reads) return false;
      this.reads = false;
      got.push(JSON.parse(message.data));
      return true;
    },
  };
  b.mesh.consume("jobs", consumer);
  pushNumbers(a, "jobs", 0, 100);
  pushNumbers(b, "jobs", 5000, 5100);
  await until(() => b.mesh.stats.queueHeld === 100);
  for (let n = 0; n < 100; n++) {
    consumer.reads = true;
    b.mesh.resume("jobs", consumer);
  }
  expect(got.filter((n) => n < 5000).length).toBeGreaterThan(40);
  expect(got.filter((n) => n >= 5000).length).toBeGreaterThan(40);
});

test("when the last consumer leaves, what the engine held goes back and reaches another, nothing doubled", async () => {
  const { a, b } = await linkedByProxy();
  const first = new MemoryConsumer();
  b.mesh.consume("jobs", first);
  await until(() => a.queues.stats().get("jobs")?.consumers === 1);
  pushNumbers(a, "jobs", 0, 10);
  await until(() => first.got.length === 10);
  first.reads = false;
  pushNumbers(a, "jobs", 10, 500);
  await until(() => b.mesh.stats.queueHeld > 0);
  b.mesh.unconsume("jobs", first);
  const second = new MemoryConsumer();
  a.mesh.consume("jobs", second);
  await until(() => second.got.length === 490);
  expect(sorted(second.numbers)).toEqual(numbers(10, 500));
  expect(first.numbers).toEqual(numbers(0, 10));
  expect(b.mesh.stats.queueHeld).toBe(0);
});

test("consumers that come and go while messages flow lose and double nothing", async () => {
  const { a, b } = await linkedByProxy();
  const got: number[] = [];
  let pushed = 0;
  for (let round = 0; round < 200; round++) {
    const consumer = new MemoryConsumer();
    (round % 3 === 0 ? a : b).mesh.consume("jobs", consumer);
    pushNumbers(a, "jobs", pushed, pushed + 20);
    pushed += 20;
    if (round % 2 === 0) await Bun.sleep(1);
    if (round % 5 === 0) consumer.reads = false;
    a.mesh.unconsume("jobs", consumer);
    b.mesh.unconsume("jobs", consumer);
    got.push(...consumer.numbers);
  }
  const last = new MemoryConsumer();
  b.mesh.consume("jobs", last);
  await until(() => got.length + last.got.length >= pushed);
  await until(() => a.peer(b).queueUnconfirmed === 0);
  expect(sorted([...got, ...last.numbers])).toEqual(numbers(0, pushed));
  expect(b.mesh.stats.queueDuplicates).toBe(0);
});

test("a link that is cut again and again loses and doubles nothing and keeps the order", async () => {
  const { a, b, proxy } = await linkedByProxy();
  const consumer = new MemoryConsumer();
  b.mesh.consume("jobs", consumer);
  let pushed = 0;
  for (let cut = 0; cut < 8; cut++) {
    for (let burst = 0; burst < 20; burst++) {
      pushNumbers(a, "jobs", pushed, pushed + 50);
      pushed += 50;
      await Bun.sleep(1);
    }
    // Some confirmations never arrive: those messages were delivered, and must not be again.
    if (cut % 2 === 0) proxy.hold("backward");
    pushNumbers(a, "jobs", pushed, pushed + 50);
    pushed += 50;
    await Bun.sleep(5);
    proxy.cut();
    proxy.release();
    await until(() => a.peer(b).up && b.peer(a).up && a.peer(b).links === cut + 2);
  }
  await until(() => consumer.got.length >= pushed);
  expect(consumer.numbers).toEqual(numbers(0, pushed));
  await until(() => a.peer(b).queueUnconfirmed === 0);
  expect(a.peer(b).queueLost).toBe(0);
});

test("when an engine is gone, what had not left goes to the others and the rest is counted", async () => {
  const limits = { heartbeat: 100, deadAfter: 400 };
  const { a, b, proxy } = await linkedByProxy({ limits });
  const dead = new MemoryConsumer();
  b.mesh.consume("jobs", dead);
  pushNumbers(a, "jobs", 0, 50);
  await until(() => a.peer(b).queueUnconfirmed === 0 && dead.got.length === 50);
  proxy.hold("forward", "backward");
  pushNumbers(a, "jobs", 50, 1000);
  await until(() => a.peer(b).queueUnconfirmed === 128 && a.peer(b).waitingBytes === 0);
  proxy.cut(true);
  const living = new MemoryConsumer();
  await until(() => !a.peer(b).up);
  a.mesh.consume("jobs", living);
  await until(() => living.got.length === 1000 - 50 - 128);
  expect(living.numbers).toEqual(numbers(178, 1000));
  a.mesh.setMembers([a.record]);
  expect(a.log.has("128 queued messages sent to")).toBe(true);
  expect(a.mesh.stats).toMatchObject({ queueLost: 128, peers: [] });
  expect(dead.numbers).toEqual(numbers(0, 50));
});

test("what waits unwritten for a peer that does not read goes back in order when the link ends", async () => {
  const { a, b, proxy } = await linkedByProxy({ limits: { heartbeat: 100, deadAfter: 60_000 } });
  const stuck = new MemoryConsumer();
  b.mesh.consume("jobs", stuck);
  await until(() => a.queues.stats().get("jobs")?.consumers === 1);
  proxy.hold("forward");
  const blob = "x".repeat(500_000);
  for (let n = 0; n < 30; n++) a.mesh.push(1, "jobs", JSON.stringify({ n, blob }));
  await until(() => a.peer(b).bytesOut > 1_000_000);
  expect(a.peer(b).waitingBytes).toBeGreaterThan(1_000_000);
  proxy.cut(true);
  await until(() => !a.peer(b).up);
  const unconfirmed = a.peer(b).queueUnconfirmed;
  expect(unconfirmed).toBeGreaterThan(0);
  expect(unconfirmed).toBeLessThan(16);
  const living = new MemoryConsumer();
  a.mesh.consume("jobs", living);
  await until(() => living.got.length === 30 - unconfirmed);
  const came = living.got.map(({ data }) => JSON.parse(data).n as number);
  expect(came).toEqual(numbers(unconfirmed, 30));
  proxy.release();
  proxy.accept();
  await until(() => a.peer(b).up);
  await until(() => stuck.got.length === unconfirmed);
  expect(stuck.got.map(({ data }) => JSON.parse(data).n as number)).toEqual(numbers(0, unconfirmed));
});

test("an engine that was taken off the list and put back starts anew: nothing doubled, the loss counted", async () => {
  const { a, b, proxy } = await linkedByProxy();
  const consumer = new MemoryConsumer();
  b.mesh.consume("jobs", consumer);
  pushNumbers(a, "jobs", 0, 300);
  await until(() => consumer.got.length === 300 && a.peer(b).queueUnconfirmed === 0);
  proxy.hold("backward");
  pushNumbers(a, "jobs", 300, 310);
  await until(() => consumer.got.length === 310);
  // Only one side forgets; the other notices it by the session.
  b.mesh.setMembers([b.record]);
  proxy.cut();
  await until(() => b.mesh.stats.peers.length === 0);
  proxy.release();
  b.mesh.setMembers([a.record, b.record]);
  await until(() => a.peer(b).links === 2 && a.peer(b).up && b.peer(a).up);
  pushNumbers(a, "jobs", 310, 400);
  await until(() => consumer.got.length === 400);
  expect(consumer.numbers).toEqual(numbers(0, 400));
});

test("messages held back because too much waits for a peer go on when it has read", async () => {
  const { a, b, proxy } = await linkedByProxy({ limits: { maxWaiting: 1_000_000 } });
  const consumer = new MemoryConsumer();
  b.mesh.consume("jobs", consumer);
  await until(() => a.queues.stats().get("jobs")?.consumers === 1);
  const blob = "x".repeat(300_000);
  // More than may wait, within one turn of the event loop: the socket takes it without ever being full.
  for (let n = 0; n < 20; n++) a.mesh.push(1, "jobs", JSON.stringify({ n, blob }));
  expect(a.queues.stats().get("jobs")?.depth).toBeGreaterThan(10);
  await until(() => consumer.got.length === 20);
  proxy.hold("forward");
  for (let n = 20; n < 60; n++) a.mesh.push(1, "jobs", JSON.stringify({ n, blob }));
  await until(() => a.peer(b).waitingBytes > 500_000);
  proxy.release();
  await until(() => consumer.got.length === 60);
  expect(consumer.got.map(({ data }) => JSON.parse(data).n as number)).toEqual(numbers(0, 60));
});

test("an engine that stops gives back what it holds", async () => {
  const { a, b } = await linkedByProxy();
  const consumer = new MemoryConsumer();
  b.mesh.consume("jobs", consumer);
  pushNumbers(a, "jobs", 0, 10);
  await until(() => consumer.got.length === 10);
  consumer.reads = false;
  pushNumbers(a, "jobs", 10, 300);
  await until(() => b.mesh.stats.queueHeld === 128);
  b.mesh.unconsume("jobs", consumer);
  await b.mesh.stop();
  await until(() => !a.peer(b).up);
  expect(a.peer(b).queueUnconfirmed).toBe(0);
  const other = new MemoryConsumer();
  a.mesh.consume("jobs", other);
  expect(other.numbers).toEqual(numbers(10, 300));
});

test("an engine that stops waits until what it has handed over is confirmed", async () => {
  const { a, b, proxy } = await linkedByProxy();
  const consumer = new MemoryConsumer();
  b.mesh.consume("jobs", consumer);
  await until(() => a.queues.stats().get("jobs")?.consumers === 1);
  proxy.hold("backward");
  pushNumbers(a, "jobs", 0, 10);
  await until(() => consumer.got.length === 10);
  const stopped = a.mesh.stop();
  expect(a.peer(b)).toMatchObject({ queueUnconfirmed: 10, up: true });
  proxy.release();
  await stopped;
  expect(a.peer(b)).toMatchObject({ queueUnconfirmed: 0, up: false });
});
