import { afterEach, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { UserError } from "../../src/errors.ts";
import { ApiEngine, type ApiEngineOptions } from "../support/api-engine.ts";
import { eventually } from "../support/eventually.ts";

let engine: ApiEngine;

async function start(options: ApiEngineOptions): Promise<void> {
  engine = await ApiEngine.start(options);
}

afterEach(() => engine.stop());

/** A TCP connection upgraded to WebSocket by hand, which reads only when told to. */
async function rawClient(): Promise<Socket> {
  const socket = connect(engine.port, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.on("error", () => {});
  socket.write(
    "GET /ws/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  return socket;
}

/** A masked text frame (RFC 6455 section 5.2), with a mask of zeros. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header =
    payload.length < 126
      ? [0x81, 0x80 | payload.length]
      : [0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0]), payload]);
}

describe("requests beyond readBufferSize", () => {
  test("close with 1009 and leave a log line; one within it passes", async () => {
    await start({ limits: { readBufferSize: 5000 } });
    const backend = await engine.backend();
    backend.send(`{"method":"server.ping","id":"${"x".repeat(4900)}"}`);
    expect((await backend.text()).length).toBeGreaterThan(4900);
    backend.send(`{"method":"server.ping","id":"${"é".repeat(2500)}"}`);
    expect((await backend.closed).code).toBe(1009);
    await eventually(() => expect(engine.log.join("\n")).toContain("closed (1009)"));
  });

  test("a frame that announces 100 MB is refused by its header", async () => {
    await start({});
    const socket = await rawClient();
    const answer = new Promise<Buffer>((resolve) => socket.once("data", resolve));
    const header = Buffer.alloc(14);
    header.writeUInt16BE(0x81ff);
    header.writeBigUInt64BE(100_000_000n, 2);
    socket.write(header);
    const bytes = await answer;
    expect([bytes[0], bytes.readUInt16BE(2)]).toEqual([0x88, 1009]);
    await eventually(() =>
      expect(engine.log.join("\n")).toMatch(
        /closed \(1006\): Received too big message; a request may have 1048576 bytes/,
      ),
    );
    expect(engine.api.stats.clients).toBe(0);
  });

  test("are not blamed for a frame against the protocol", async () => {
    await start({});
    const socket = await rawClient();
    // A reserved opcode (RFC 6455 section 5.2).
    socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
    await eventually(() => expect(engine.log.join("\n")).toMatch(/closed \(\d+\): Received/));
    expect(engine.log.join("\n")).not.toContain("a request may have");
  });

  test("a new limit holds for new connections", async () => {
    await start({});
    const before = await engine.backend();
    engine.api.limits = { readTimeout: 60, writeTimeout: 60, readBufferSize: 100, writeBufferSize: 1_000_000 };
    const after = await engine.backend();
    const request = `{"method":"server.ping","id":"${"x".repeat(200)}"}`;
    before.send(request);
    expect(await before.text()).toContain("server.pong");
    after.send(request);
    expect((await after.closed).code).toBe(1009);
  });
});

describe("readTimeout", () => {
  test("closes a silent connection with 1001; pings of either kind keep it", async () => {
    await start({ limits: { readTimeout: 1 } });
    const [silent, pinging, texting] = [await engine.backend(), await engine.backend(), await engine.backend()];
    const timer = setInterval(() => {
      pinging.ping();
      texting.send("ping");
    }, 200);
    const started = performance.now();
    const { code, reason } = await silent.closed;
    expect(code).toBe(1001);
    expect(reason).toContain("ping");
    expect(performance.now() - started).toBeGreaterThan(900);
    clearInterval(timer);
    pinging.sendJson({ method: "server.ping" });
    expect((await pinging.json()).error).toBeNull();
    expect(engine.api.stats.readTimeouts).toBe(1);
  });
});

describe("a client that does not read", () => {
  test("is closed when more than writeBufferSize waits for it, with the bytes in the log", async () => {
    await start({ limits: { writeBufferSize: 100_000 } });
    const socket = await rawClient();
    socket.pause();
    const request = frame(`{"method":"server.ping","id":"${"x".repeat(60_000)}"}`);
    const timer = setInterval(() => socket.write(request), 1);
    try {
      await eventually(() => expect(engine.api.stats.slowClients).toBe(1));
    } finally {
      clearInterval(timer);
    }
    expect(engine.api.stats.clients).toBe(0);
    expect(engine.log.join("\n")).toMatch(/too slow and is closed with 1013: \d{6,} bytes wait/);
    socket.destroy();
  });

  test("is closed when it takes nothing for writeTimeout", async () => {
    await start({ limits: { writeTimeout: 1 } });
    const socket = await rawClient();
    socket.pause();
    const request = frame(`{"method":"server.ping","id":"${"x".repeat(60_000)}"}`);
    for (let index = 0; index < 200; index++) socket.write(request);
    await eventually(() => expect(engine.api.stats.slowClients).toBe(1));
    expect(engine.log.join("\n")).toContain("took nothing for 1 seconds");
    socket.destroy();
  });

  test("gets no more events until it reads, and then all of them in order", async () => {
    await start({});
    const socket = await rawClient();
    socket.pause();
    socket.write(frame('{"m":"queue.pop","p":["big"],"i":1}'));
    await eventually(() => expect(engine.queues.stats().get("big")?.consumers).toBe(1));
    const filler = "x".repeat(100_000);
    for (let index = 0; index < 200; index++) engine.mesh.push(1, "big", `"${index} ${filler}"`);
    const waiting = () => engine.queues.stats().get("big")?.depth ?? 0;
    expect(waiting()).toBeGreaterThan(50);
    // A second consumer takes what waits meanwhile; the first is left alone.
    expect(engine.api.stats.slowClients).toBe(0);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.resume();
    const numbers = () => [...text.matchAll(/"d":"(\d+) x/g)].map(([, number]) => Number(number));
    await eventually(() => expect(numbers()).toHaveLength(200));
    expect(numbers()).toEqual(Array.from({ length: 200 }, (_, index) => index));
    expect(waiting()).toBe(0);
    socket.destroy();
  });

  test("leaves what waits to another consumer", async () => {
    await start({});
    const socket = await rawClient();
    socket.pause();
    socket.write(frame('{"m":"queue.pop","p":["big"],"i":1}'));
    await eventually(() => expect(engine.queues.stats().get("big")?.consumers).toBe(1));
    for (let index = 0; index < 200; index++) engine.mesh.push(1, "big", `"${"x".repeat(100_000)}"`);
    const left = engine.queues.stats().get("big")?.depth ?? 0;
    expect(left).toBeGreaterThan(50);
    const other = await engine.backend();
    other.send('{"m":"queue.pop","p":["big"],"i":1}');
    await eventually(() => expect(other.pending).toBe(left + 1));
    socket.destroy();
  });
});

describe("coming and going", () => {
  test("a thousand connections leave nothing behind", async () => {
    await start({});
    for (let round = 0; round < 20; round++) {
      const sockets = await Promise.all(Array.from({ length: 50 }, () => engine.backend()));
      for (const [index, socket] of sockets.entries()) {
        socket.send('{"m":"queue.pop","p":["t1","t2"],"i":1}');
        if (index % 2 === 0) socket.close();
        else socket.terminate();
      }
      await Promise.all(sockets.map((socket) => socket.closed));
    }
    await eventually(() => expect(engine.api.stats.clients).toBe(0));
    await eventually(() => expect([...engine.queues.stats().keys()]).toEqual([]));
  });

  test("stop closes every connection with 1001, also beside half-open ones, in time", async () => {
    await start({});
    const half = connect(engine.port, "127.0.0.1");
    half.on("error", () => {});
    half.write("GET /ws/v1 HTTP/1.1\r\nHost: x");
    const paused = await rawClient();
    paused.pause();
    const backends = await Promise.all(Array.from({ length: 20 }, () => engine.backend()));
    const started = performance.now();
    await engine.api.stop();
    expect(performance.now() - started).toBeLessThan(4000);
    for (const backend of backends) expect((await backend.closed).code).toBe(1001);
    await expect(engine.backend()).rejects.toThrow();
    half.destroy();
    paused.destroy();
  });

  test("a port in use is an error that names it and says what to do", async () => {
    await start({});
    const other = await ApiEngine.start({ port: engine.port }).catch((error: unknown) => error);
    expect(other).toBeInstanceOf(UserError);
    expect((other as UserError).message).toMatch(new RegExp(`api server on 127.0.0.1:${engine.port}.*in use.*port`));
  });
});
