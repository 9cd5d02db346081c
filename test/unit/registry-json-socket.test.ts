import { afterEach, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { JsonSocket, ProtocolError } from "../../src/registry/json-socket.ts";
import { until } from "../support/eventually.ts";

let server: Server;
let near: JsonSocket;
let far: Socket;
let messages: unknown[];
let reasons: string[];

async function pair(maxFrame: number): Promise<void> {
  messages = [];
  reasons = [];
  const accepted = Promise.withResolvers<Socket>();
  server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1" }, resolve));
  far = connect({ host: "127.0.0.1", port: (server.address() as { port: number }).port });
  far.on("error", () => {});
  near = new JsonSocket(await accepted.promise, maxFrame);
  near.onMessage = (message) => messages.push(message);
  near.onClose = (reason) => reasons.push(reason);
}

function frame(text: string): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([header, Buffer.from(text)]);
}

afterEach(() => {
  far.destroy();
  near.close("end of test");
  server.close();
});

test("messages split anywhere and several in one chunk arrive whole and in order", async () => {
  await pair(1000);
  const stream = Buffer.concat([frame(`{"a":1}`), frame(`"zwölf"`), frame("null"), frame("[]")]);
  for (let cut = 0; cut <= stream.length; cut++) {
    messages.length = 0;
    far.write(stream.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    far.write(stream.subarray(cut));
    await until(() => messages.length === 4, 2000);
    expect(messages).toEqual([{ a: 1 }, "zwölf", null, []]);
  }
  expect(reasons).toEqual([]);
});

test("the longest message is taken, one byte more closes the connection once", async () => {
  await pair(100);
  far.write(frame(JSON.stringify("x".repeat(98))));
  await until(() => messages.length === 1, 2000);
  far.write(frame(JSON.stringify("x".repeat(99))));
  far.write(frame("1"));
  await until(() => reasons.length === 1, 2000);
  expect(reasons).toEqual(["malformed message: 101 bytes, at most 100 are accepted"]);
  expect(messages).toHaveLength(1);
});

test("a receiver that finds the protocol broken closes the connection, and gets nothing more of it", async () => {
  await pair(100);
  let calls = 0;
  near.onMessage = () => {
    calls++;
    throw new ProtocolError("not like this");
  };
  far.write(Buffer.concat([frame("1"), frame("2")]));
  await until(() => reasons.length === 1, 2000);
  expect(reasons).toEqual(["not like this"]);
  expect(calls).toBe(1);
});

test("what is said before closing still arrives", async () => {
  await pair(100);
  let received = "";
  far.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  const ended = new Promise((resolve) => far.on("end", resolve));
  near.send({ bye: true });
  near.close("done");
  near.send({ late: true });
  await ended;
  expect(received).toBe(frame(`{"bye":true}`).toString("latin1"));
  expect(reasons).toEqual(["done"]);
});

test("a peer that does not read is cut off when too much waits for it", async () => {
  await pair(100);
  far.pause();
  for (let sent = 0; sent < 64 && reasons.length === 0; sent++) near.send({ pad: "x".repeat(1024 * 1024) });
  expect(reasons).toHaveLength(1);
  expect(reasons[0]).toMatch(/^the peer does not read: \d+ bytes wait for it$/);
});
