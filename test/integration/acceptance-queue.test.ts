import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { LUA_CONSOLE, LuaClient } from "../support/lua-console.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const SCRIPT = `
${LUA_CONSOLE}
function init()
  assert(mix.queue.new("small", 3) == nil)
end`;

let node: Connmix;
let lua: LuaClient;

beforeAll(async () => {
  const config = freePorts({ entry: "entry.lua" }, { luavm: { queue: { topicSize: 50, maxTopics: 20 } } });
  node = await Connmix.start("dev", config, { files: { "entry.lua": SCRIPT } });
  lua = await LuaClient.connect(node);
});
afterAll(async () => {
  await node.stop();
});

/** A backend that consumes topics; its events in the order they came. */
class Consumer {
  readonly got: unknown[] = [];

  private constructor(readonly socket: TestSocket) {}

  static async of(...topics: string[]): Promise<Consumer> {
    const socket = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    socket.sendJson({ method: "queue.consume", params: topics, id: 1 });
    expect(await socket.json()).toEqual({ error: null, result: { success: true }, id: 1 });
    return new Consumer(socket);
  }

  /** Resolves when the engine knows that it is gone. */
  async leave(how: "close" | "terminate" = "close"): Promise<void> {
    this.socket[how]();
    await this.socket.closed;
    await eventually(async () => {
      expect(metric(await scrape(node.apiPort), "connmix_engine_queue_consumers")).toBe(0);
    });
  }

  /** Takes `count` more events. */
  async take(count: number): Promise<this> {
    for (let i = 0; i < count; i++) this.got.push((await this.socket.json()).result.data);
    return this;
  }
}

const push = (topic: string, from: number, to = from) =>
  lua.run(`local n, err for i = ${from}, ${to} do n, err = mix.queue.push("${topic}", i) end return n, err`);
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("a full topic", () => {
  test("is an error to the pusher, counted, and nothing is dropped", async () => {
    expect(await push("full", 1, 50)).toEqual([50, null]);
    const [n, err] = await push("full", 51);
    expect(n).toBeNull();
    expect(err).toMatch(/full.*50/);
    expect(metric(await scrape(node.apiPort), "connmix_engine_queue_rejected_total", 'topic="full"')).toBe(1);
    const consumer = await (await Consumer.of("full")).take(50);
    expect(consumer.got).toEqual(numbers(1, 50));
    expect(await push("full", 52)).toEqual([expect.any(Number), null]);
    expect((await consumer.take(1)).got.at(-1)).toBe(52);
    await consumer.leave();
  });

  test("has the size that mix.queue.new gave it", async () => {
    expect(await push("small", 1, 3)).toEqual([3, null]);
    expect((await push("small", 4))[1]).toMatch(/full.*3/);
    expect(await lua.run(`return mix.queue.new("small", 5)`)).toEqual([null]);
    expect(await push("small", 5, 6)).toEqual([5, null]);
    expect((await push("small", 7))[1]).toMatch(/full.*5/);
    const consumer = await (await Consumer.of("small")).take(5);
    expect(consumer.got).toEqual([1, 2, 3, 5, 6]);
    await consumer.leave();
  });

  test("of a size that makes no sense is refused", async () => {
    for (const size of ["0", "-1", "1.5"]) {
      expect((await lua.run(`return mix.queue.new("odd", ${size})`))[0]).toEqual(expect.any(String));
    }
  });
});

test("one topic too many is an error, counted, and those that exist go on", async () => {
  const results = await lua.run(
    `local errors, last = 0
     for i = 1, 40 do
       local n, err = mix.queue.push("topic " .. i, i)
       if err then errors, last = errors + 1, err end
     end
     return errors, last, mix.queue.new("one more", 5)`,
  );
  // "small" has a size of its own and stays; "full" is empty by now and has made room.
  const made = 20 - 1;
  expect(results[0]).toBe(40 - made);
  expect(results[1]).toMatch(/too many topics: 20 .*maxTopics/);
  expect(results[2]).toMatch(/too many topics/);
  expect(await push("topic 1", 2)).toEqual([2, null]);
  // Consuming is not limited: the topic may be pushed to on another engine.
  const consumer = await Consumer.of("topic 40", "topic 1");
  expect((await consumer.take(2)).got).toEqual([1, 2]);
  expect(metric(await scrape(node.apiPort), "connmix_engine_queue_topics_refused_total")).toBe(40 - made + 1);
  await consumer.leave();
});

test("a topic that was emptied makes room for another one", async () => {
  expect(await push("one more", 1)).toEqual([1, null]);
  expect((await push("two more", 1))[1]).toMatch(/too many topics/);
  const text = await scrape(node.apiPort);
  expect(text).not.toContain('connmix_engine_queue_depth{topic="topic 1"}');
  expect(metric(text, "connmix_engine_queue_popped_total", 'topic="topic 1"')).toBe(2);
});

describe("consumers", () => {
  test("two share a topic evenly, each message goes to one", async () => {
    const [a, b] = [await Consumer.of("topic 11"), await Consumer.of("topic 11")];
    await a.take(1);
    for (let round = 0; round < 10; round++) await push("topic 11", round * 10, round * 10 + 9);
    await Promise.all([a.take(50), b.take(50)]);
    expect(a.socket.pending + b.socket.pending).toBe(0);
    const all = [...a.got.slice(1), ...b.got] as number[];
    expect(all.toSorted((x, y) => x - y)).toEqual(numbers(0, 99));
    a.socket.close();
    b.socket.close();
  });

  test("that go away, politely or not, lose nothing of what waits", async () => {
    for (const leave of ["close", "terminate"] as const) {
      const first = await (await Consumer.of("topic 12")).take(leave === "close" ? 1 : 0);
      await first.leave(leave);
      await push("topic 12", 1, 20);
      const second = await (await Consumer.of("topic 12")).take(20);
      expect(second.got).toEqual(numbers(1, 20));
      await second.leave();
    }
  });

  test("a second consume of a topic by one connection is 202, in both dialects", async () => {
    const consumer = await Consumer.of("topic 13");
    await consumer.take(1);
    consumer.socket.sendJson({ method: "queue.consume", params: ["topic 13"], id: 2 });
    expect(await consumer.socket.json()).toEqual({ error: { code: 202, message: expect.any(String) }, id: 2 });
    consumer.socket.sendJson({ m: "queue.pop", p: { t: ["topic 13"] }, i: 3 });
    expect(await consumer.socket.json()).toEqual({ E: { c: 202, m: expect.any(String) }, i: 3 });
    await push("topic 13", 7);
    expect((await consumer.take(1)).got.at(-1)).toBe(7);
    await consumer.leave();
  });
});

test("what is pushed arrives as the value it is", async () => {
  const consumer = await Consumer.of("topic 14");
  await consumer.take(1);
  const pushed: [lua: string, value: unknown][] = [
    ["'plain text'", "plain text"],
    [`'{"a": [1, {"b": null}]}'`, { a: [1, { b: null }] }],
    [`'[1, 2]'`, [1, 2]],
    [`'{"not": json'`, '{"not": json'],
    ["'12'", "12"],
    ["'\"quoted\"'", '"quoted"'],
    ["{}", []],
    ["mix.json_object({})", {}],
    ["{ a = 1, b = { true, false } }", { a: 1, b: [true, false] }],
    ["mix.null", null],
    ["true", true],
    ["9007199254740991", 9007199254740991],
    ["0.5", 0.5],
    ["'日本語 \\u{1F600}'", "日本語 😀"],
  ];
  for (const [source, value] of pushed) {
    expect(await lua.run(`return mix.queue.push("topic 14", ${source})`)).toEqual([expect.any(Number)]);
    await consumer.take(1);
    expect(consumer.got.at(-1)).toEqual(value);
  }
  for (const source of ["print", "{ [1] = print }", "'\\xff'", "0/0"]) {
    const [n, err] = await lua.run(`return mix.queue.push("topic 14", ${source})`);
    expect([n, typeof err]).toEqual([null, "string"]);
  }
  await consumer.leave();
});
