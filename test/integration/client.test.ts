import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Client, type QueueEvent } from "../../src/client/index.ts";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { installPackage } from "../support/package.ts";
import { TestSocket } from "../support/websocket.ts";

const ROOT = resolve(import.meta.dir, "../..");
const ENTRY = { entry: join(ROOT, "lua/entry.lua") };
const LOCAL = { cluster: { advertise: "127.0.0.1" } };

let center: Connmix;

beforeAll(async () => {
  center = await Connmix.start("center", { ...freePorts(), ...LOCAL });
});

afterAll(async () => {
  await center.stop();
});

function startEngine(): Promise<Connmix> {
  const config = freePorts(ENTRY, { centerRegistry: `127.0.0.1:${center.registryPort}` });
  return Connmix.start("engine", { ...config, ...LOCAL });
}

function apiAddress(engine: Connmix): string {
  return `ws://127.0.0.1:${engine.apiPort}/ws/v1`;
}

interface Walk {
  msg: { data: string };
}

describe("with two engines", () => {
  let engines: Connmix[];
  let client: Client;

  beforeAll(async () => {
    engines = await Promise.all([startEngine(), startEngine()]);
    client = new Client({ url: `http://127.0.0.1:${center.centerApiPort}` });
    await eventually(() => expect(client.connected).toHaveLength(2));
  });

  afterAll(async () => {
    await client.close();
    await Promise.all(engines.map((engine) => engine.stop()));
  });

  test("every operation reaches clients of both", async () => {
    const sockets = await Promise.all(
      engines.map((engine) => TestSocket.connect(`ws://127.0.0.1:${engine.serverPort()}`)),
    );
    const consumer = client.consume<Walk>("foo");
    await consumer.ready;
    const events = consumer[Symbol.asyncIterator]();
    for (const [index, socket] of sockets.entries()) {
      socket.send(`from ${index}`);
      const { value } = await events.next();
      const { clientId, topic, data } = value as QueueEvent<Walk>;
      expect([topic, data.msg.data]).toEqual(["foo", `from ${index}`]);

      await client.send(clientId, "text");
      expect(await socket.next()).toBe("text");
      await client.send(clientId, new Uint8Array([0, 200, 255]));
      expect(await socket.next()).toEqual(Buffer.from([0, 200, 255]));
      await client.send(clientId, { json: [1] });
      expect(await socket.json()).toEqual({ json: [1] });

      await client.setContext(clientId, { user: index });
      expect(await client.context(clientId)).toMatchObject({ user: index });
      await client.subscribe(clientId, "all", `only-${index}`);
      expect((await client.channels(clientId)).toSorted()).toEqual(["all", `only-${index}`]);
    }
    expect(await client.publish("all", "news")).toEqual({ total: 2, fail: 0 });
    for (const socket of sockets) expect(await socket.text()).toBe("news");
    await consumer.stop();

    const [first] = sockets;
    const stranger = client.send(1, "nobody");
    expect(await stranger.catch((error: unknown) => error)).toMatchObject({ name: "ConnmixError", code: 401 });
    const unknown = client.call(1, "context");
    expect(await unknown.catch((error: unknown) => error)).toMatchObject({ code: 301 });

    first?.close();
    for (const socket of sockets.slice(1)) socket.close();
  });

  test("a batch is carried out in order", async () => {
    const socket = await TestSocket.connect(`ws://127.0.0.1:${engines[0]!.serverPort()}`);
    const consumer = client.consume<Walk>("foo");
    await consumer.ready;
    socket.send("who am I");
    const { value } = await consumer[Symbol.asyncIterator]().next();
    await consumer.stop();
    const { clientId } = value as QueueEvent<Walk>;
    const results = await client.batch([
      { call: clientId, func: "subscribe", args: ["batch"] },
      { publish: "batch", data: "1" },
      { send: "1", data: "to nobody" },
      { send: clientId, data: "2" },
    ]);
    expect(results.map((result) => (result.ok ? "ok" : result.error.code))).toEqual(["ok", "ok", 401, "ok"]);
    expect(results[1]).toMatchObject({ result: { total: 1, fail: 0 } });
    expect(await socket.text()).toBe("1");
    expect(await socket.text()).toBe("2");
    await client.disconnect(clientId, 4001, "done");
    expect(await socket.closed).toEqual({ code: 4001, reason: "done" });
  });

  test("a slow iteration loses nothing, doubles nothing and keeps each client's order", async () => {
    const consumer = client.consume<Walk>("foo", { highWaterMark: 8 });
    await consumer.ready;
    const sockets = await Promise.all(
      engines.map((engine) => TestSocket.connect(`ws://127.0.0.1:${engine.serverPort()}`)),
    );
    for (let i = 0; i < 300; i++) for (const [index, socket] of sockets.entries()) socket.send(`${index} ${i}`);
    const got: [string[], string[]] = [[], []];
    let count = 0;
    for await (const { data } of consumer) {
      const [from = "", number = ""] = data.msg.data.split(" ");
      got[Number(from) as 0 | 1].push(number);
      if (count % 50 === 0) await Bun.sleep(5);
      if (++count === 600) break;
    }
    const all = Array.from({ length: 300 }, (_, i) => String(i));
    for (const numbers of got) expect(numbers.toSorted((a, b) => Number(a) - Number(b))).toEqual(all);
    for (const socket of sockets) socket.close();
  });

  test("two consumers share a topic", async () => {
    const other = new Client({ url: `http://127.0.0.1:${engines[0]!.apiPort}` });
    const counts = [0, 0];
    const consumers = [client.consume("foo", () => void counts[0]!++), other.consume("foo", () => void counts[1]!++)];
    await eventually(() => expect(other.connected).toHaveLength(2));
    await Promise.all(consumers.map(({ ready }) => ready));
    const socket = await TestSocket.connect(`ws://127.0.0.1:${engines[0]!.serverPort()}`);
    for (let i = 0; i < 200; i++) socket.send("x");
    await eventually(() => expect(counts[0]! + counts[1]!).toBe(200));
    for (const count of counts) expect(count).toBeGreaterThanOrEqual(40);
    await other.close();
    await consumers[0]!.stop();
    socket.close();
  });
});

describe("when engines are killed and started", () => {
  const project = mkdtempSync(join(tmpdir(), "connmix-client-"));
  const program = join(project, "program.mjs");

  beforeAll(async () => {
    await installPackage(project);
    cpSync(join(import.meta.dir, "client-program.mjs"), program);
  });

  afterAll(() => rmSync(project, { recursive: true }));

  const runtimes: [string, string][] = [
    ["bun", process.execPath],
    ["node", "node"],
  ];

  test.each(runtimes)(
    "a backend on %s, with the package installed, goes on with those that are there",
    async (name, runtime) => {
      const stays = await startEngine();
      const dies = await startEngine();
      const url = `http://127.0.0.1:${center.centerApiPort}`;
      const backend = Bun.spawn([runtime, program, url], { stdout: "pipe", stderr: "inherit" });
      const lines: string[] = [];
      const reading = readLines(backend.stdout, lines);
      let comes: Connmix | undefined;
      try {
        const connectedTo = (...engines: Connmix[]) =>
          eventually(() => {
            const addresses = engines.map(apiAddress).toSorted().join(" ");
            expect(lines.findLast((line) => line.startsWith("connected"))).toBe(`connected ${addresses}`);
          }, 20_000);
        await connectedTo(stays, dies);
        expect(lines).toContain(`consuming in ${name}`);

        const socket = await TestSocket.connect(`ws://127.0.0.1:${stays.serverPort()}`);
        await ask(socket, 0, 20);
        await dies.kill();
        await ask(socket, 20, 40);
        await connectedTo(stays);
        comes = await startEngine();
        await connectedTo(stays, comes);
        const newcomer = await TestSocket.connect(`ws://127.0.0.1:${comes.serverPort()}`);
        await ask(newcomer, 0, 20);
        await ask(socket, 40, 60);

        backend.kill("SIGTERM");
        expect(await backend.exited).toBe(0);
        await reading;
        expect(lines.at(-1)).toBe("closed");
        expect(socket.pending + newcomer.pending).toBe(0);
      } finally {
        backend.kill("SIGKILL");
        await Promise.all([stays.stop(), comes?.stop(), dies.kill()]);
      }
    },
    90_000,
  );
});

/**
 * Sends numbered messages and waits for the answer to each; the message that a dying engine's consumer had already taken is
 * asked again, since delivery is at most once.
 */
async function ask(socket: TestSocket, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    const answer = `answer to ${i}`;
    socket.send(String(i));
    const first = await socket.text(5_000).catch(() => {
      socket.send(String(i));
      return socket.text(5_000);
    });
    expect(first).toBe(answer);
  }
}

async function readLines(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  }
}
