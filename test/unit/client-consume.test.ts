import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Client, ConnmixError, type QueueEvent } from "../../src/client/index.ts";
import { until } from "../support/eventually.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";

let engine: ScriptedEngine;
let client: Client;
let troubles: string[];

beforeEach(() => {
  troubles = [];
  engine = new ScriptedEngine();
  client = new Client({ url: engine.url, requestTimeout: 2_000, onTrouble: (text) => troubles.push(text) });
});

afterEach(async () => {
  await client.close();
  await engine.stop();
});

async function take<T>(events: AsyncIterable<QueueEvent<T>>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const { data } of events) {
    taken.push(data);
    if (taken.length === count) break;
  }
  return taken;
}

describe("iterating", () => {
  test("yields events in order, with who sent them", async () => {
    const consumer = client.consume<number>(["foo", "bar"]);
    await consumer.ready;
    expect(engine.requests.find(({ method }) => method === "queue.consume")?.params).toEqual(["foo", "bar"]);
    engine.push(1);
    engine.push(2, "bar");
    const iterator = consumer[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toEqual({ clientId: "7", topic: "foo", data: 1 });
    expect((await iterator.next()).value).toEqual({ clientId: "7", topic: "bar", data: 2 });
  });

  test("leaving the loop stops consuming", async () => {
    const consumer = client.consume<number>("foo");
    const taken = take(consumer, 2);
    await consumer.ready;
    for (let i = 1; i <= 3; i++) engine.push(i);
    expect(await taken).toEqual([1, 2]);
    expect(engine.count("queue.unconsume")).toBe(1);
    expect(engine.consumers.size).toBe(0);
  });

  test("stop lets what was received be iterated, and then iterations end", async () => {
    const consumer = client.consume<number>("foo");
    await consumer.ready;
    for (let i = 1; i <= 3; i++) engine.push(i);
    await consumer.stop();
    expect(await take(consumer, 10)).toEqual([1, 2, 3]);
  });

  test("one that falls behind pauses at the high-water mark and goes on at half of it", async () => {
    const consumer = client.consume<number>("foo", { highWaterMark: 4 });
    await consumer.ready;
    for (let i = 1; i <= 6; i++) engine.push(i);
    await until(() => engine.consumers.size === 0);
    const iterator = consumer[Symbol.asyncIterator]();
    const taken: unknown[] = [];
    for (let i = 0; i < 3; i++) taken.push((await iterator.next()).value?.data);
    expect(engine.consumers.size).toBe(0);
    taken.push((await iterator.next()).value?.data);
    await until(() => engine.consumers.size === 1);
    engine.push(7);
    for (let i = 0; i < 3; i++) taken.push((await iterator.next()).value?.data);
    expect(taken).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(engine.count("queue.consume")).toBe(2);
  });

  test("a refusal for good ends it with the engine's code", async () => {
    engine.answer = () => ({ error: { code: 103, message: "the user lacks the role write" } });
    const consumer = client.consume("foo");
    const readiness = await consumer.ready.catch((error: unknown) => error);
    expect(readiness).toBeInstanceOf(ConnmixError);
    expect(take(consumer, 1)).rejects.toMatchObject({ code: 103 });
    expect(consumer.ready).rejects.toMatchObject({ code: 103 });
  });

  test("a refusal for now is tried again", async () => {
    let tries = 0;
    engine.answer = () => (tries++ === 0 ? { error: { code: 201, message: "later" } } : { result: {} });
    const consumer = client.consume("foo");
    await consumer.ready;
    expect(tries).toBe(2);
    expect(troubles.join()).toContain("later");
  });

  test("a lost connection is restored", async () => {
    const consumer = client.consume<number>("foo");
    await consumer.ready;
    engine.push(1);
    for (const socket of [...engine.consumers]) socket.terminate();
    await until(() => engine.count("queue.consume") === 2 && engine.consumers.size === 1);
    engine.push(2);
    expect(await take(consumer, 2)).toEqual([1, 2]);
  });

  test("a consumer takes from every engine, on connections of its own", async () => {
    const other = new ScriptedEngine();
    engine.nodes = [engine.address, other.address];
    const consumer = client.consume<string>("foo");
    for (const socket of [...engine.sockets]) socket.terminate();
    await until(() => engine.consumers.size === 1 && other.consumers.size === 1);
    await until(() => engine.sockets.size === 2 && other.sockets.size === 2);
    engine.push("here");
    other.push("there");
    expect((await take(consumer, 2)).sort()).toEqual(["here", "there"]);
    await client.close();
    await other.stop();
  });
});

describe("a handler", () => {
  test("gets one event after the other, in order, whatever it waits for", async () => {
    const log: string[] = [];
    const consumer = client.consume<number>("foo", async ({ data }) => {
      log.push(`begin ${data}`);
      await Bun.sleep(5);
      log.push(`end ${data}`);
    });
    await consumer.ready;
    engine.push(1);
    engine.push(2);
    await until(() => log.length === 4);
    expect(log).toEqual(["begin 1", "end 1", "begin 2", "end 2"]);
  });

  test("runs as often at once as it is allowed to", async () => {
    let running = 0;
    let most = 0;
    let handled = 0;
    const handler = async () => {
      most = Math.max(most, ++running);
      await Bun.sleep(10);
      running--;
      handled++;
    };
    const consumer = client.consume("foo", handler, { concurrency: 3 });
    await consumer.ready;
    for (let i = 0; i < 9; i++) engine.push(i);
    await until(() => handled === 9);
    expect(most).toBe(3);
  });

  test("that throws is reported, and the next event follows", async () => {
    const seen: number[] = [];
    const consumer = client.consume<number>("foo", ({ data }) => {
      seen.push(data);
      if (data === 1) throw new Error("no good");
    });
    await consumer.ready;
    engine.push(1);
    engine.push(2);
    await until(() => seen.length === 2);
    expect(troubles).toEqual(["the handler of foo failed: no good"]);
  });

  test("finishes what was received before close resolves", async () => {
    let handled = 0;
    const consumer = client.consume("foo", async () => {
      await Bun.sleep(5);
      handled++;
    });
    await consumer.ready;
    for (let i = 0; i < 5; i++) engine.push(i);
    await until(() => engine.consumers.size === 1 && handled > 0);
    await client.close();
    expect(handled).toBe(5);
  });

  test("without the right to consume is reported", async () => {
    engine.answer = () => ({ error: { code: 103, message: "read only" } });
    client.consume("foo", () => {});
    await until(() => troubles.some((text) => text.includes("read only")));
    expect(engine.consumers.size).toBe(0);
  });
});
