import { afterAll, beforeAll, expect, test } from "bun:test";
import { ApiEngine, failure } from "../support/api-engine.ts";
import type { TestSocket } from "../support/websocket.ts";

let engine: ApiEngine;

beforeAll(async () => {
  engine = await ApiEngine.start();
});
afterAll(() => engine.stop());

test("events in the dialect of the consume request, after its reply, also for what was sent before", async () => {
  const { socket, id } = await engine.client();
  socket.send("early");
  const long = await engine.backend();
  expect(await long.ask('{"method":"queue.consume","params":["foo"],"id":12345}')).toBe(
    '{"error":null,"result":{"success":true},"id":12345}',
  );
  expect(await long.text()).toBe(
    `{"event":"queue.consume","result":{"client_id":"${id}","queue":"foo","data":{"msg":"early"}},"id":null}`,
  );
  expect(await long.ask('{"m":"queue.unpop","p":{},"i":1}')).toBe('{"E":null,"r":{"s":true},"i":1}');
  socket.send("later");
  const short = await engine.backend();
  expect(await short.ask('{"m":"queue.pop","p":{"t":["foo"]},"i":2}')).toBe('{"E":null,"r":{"s":true},"i":2}');
  expect(await short.text()).toBe(
    `{"e":"queue.pop","p":{"n":"engine0000","c":"${id}","t":"foo","d":{"msg":"later"}},"id":null}`,
  );
  expect(await short.ask('{"method":"queue.unconsume","params":[],"id":3}')).toBe(
    '{"error":null,"result":{"success":true},"id":3}',
  );
  expect(long.pending + short.pending).toBe(0);
});

test("names of either generation work in either dialect, and both shapes of short parameters", async () => {
  const socket = await engine.backend();
  expect(await socket.ask('{"m":"queue.consume","p":["n1"],"i":1}')).toBe('{"E":null,"r":{"s":true},"i":1}');
  expect(await socket.ask('{"method":"queue.pop","params":["n2"],"id":1}')).toBe(
    '{"error":null,"result":{"success":true},"id":1}',
  );
  engine.mesh.push(5, "n1", '"x"');
  engine.mesh.push(5, "n2", '"x"');
  expect(await socket.text()).toBe('{"e":"queue.pop","p":{"n":"engine0000","c":"5","t":"n1","d":"x"},"id":null}');
  expect(await socket.text()).toBe(
    '{"event":"queue.consume","result":{"client_id":"5","queue":"n2","data":"x"},"id":null}',
  );
  expect(await socket.ask('{"m":"queue.unconsume","i":1}')).toBe('{"E":null,"r":{"s":true},"i":1}');
  expect(await socket.ask('{"method":"queue.unpop","id":1}')).toBe('{"error":null,"result":{"success":true},"id":1}');
});

test("202 for a topic consumed already, which leaves the others alone", async () => {
  const socket = await engine.backend();
  await socket.ask('{"method":"queue.consume","params":["a1"],"id":1}');
  const error = await failure(socket, '{"method":"queue.consume","params":["a2","a1"],"id":12345}');
  expect(error).toEqual({ code: 202, message: 'this connection already consumes "a1"; nothing was added' });
  expect(await socket.ask('{"m":"queue.pop","p":["a2"],"i":1}')).toBe('{"E":null,"r":{"s":true},"i":1}');
  engine.mesh.push(1, "a1", "1");
  expect((await socket.json()).result.queue).toBe("a1");
});

test("201 for a topic that cannot be, 101 for what is no topic", async () => {
  const socket = await engine.backend();
  const tooLong = "x".repeat(2000);
  const error = await failure(socket, `{"method":"queue.consume","params":["b1","${tooLong}"],"id":1}`);
  expect(error.code).toBe(201);
  expect(error.message).toContain("2000");
  // The first topic was given back: nobody consumes it.
  expect(engine.queues.stats().get("b1")).toBeUndefined();
  expect((await failure(socket, '{"method":"queue.consume","params":[],"id":1}')).code).toBe(101);
  expect((await failure(socket, '{"method":"queue.unconsume","params":["b1"],"id":1}')).code).toBe(101);
});

test("a second consume of the same topic after unconsume is no 202", async () => {
  const socket = await engine.backend();
  for (let turn = 0; turn < 3; turn++) {
    expect((JSON.parse(await socket.ask('{"m":"queue.pop","p":["c1"]}')) as { E: unknown }).E).toBeNull();
    expect((JSON.parse(await socket.ask('{"m":"queue.unpop"}')) as { E: unknown }).E).toBeNull();
  }
});

test("two consumers share a topic evenly, each message goes to one", async () => {
  const one = await engine.backend();
  const two = await engine.backend();
  await one.ask('{"m":"queue.pop","p":["share"]}');
  await two.ask('{"m":"queue.pop","p":["share"]}');
  for (let index = 0; index < 100; index++) engine.mesh.push(1, "share", String(index));
  const numbers = async (socket: TestSocket) => {
    const taken: number[] = [];
    for (let index = 0; index < 50; index++) taken.push((await socket.json()).p.d);
    return taken;
  };
  const [first, second] = [await numbers(one), await numbers(two)];
  expect([...first, ...second].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index));
  expect(first).toEqual(first.toSorted((a, b) => a - b));
});

test("a consumer that goes away leaves all its topics, and nothing that waits is lost", async () => {
  const gone = await engine.backend();
  await gone.ask('{"m":"queue.pop","p":["d1","d2"]}');
  gone.terminate();
  await gone.closed;
  while ((engine.queues.stats().get("d1")?.consumers ?? 0) > 0) await Bun.sleep(1);
  for (let index = 0; index < 10; index++) engine.mesh.push(1, "d1", String(index));
  const next = await engine.backend();
  await next.ask('{"m":"queue.pop","p":["d1"]}');
  for (let index = 0; index < 10; index++) expect((await next.json()).p.d).toBe(index);
  expect(engine.queues.stats().get("d2")).toBeUndefined();
});
