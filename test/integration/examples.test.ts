import { expect, test } from "bun:test";
import { resolve } from "node:path";
import { Connmix, freePorts } from "../support/connmix.ts";
import { TestSocket } from "../support/websocket.ts";

/** Runs `dialogue` against one of lua/examples; every client it opens is closed afterwards. */
async function play(
  example: string,
  dialogue: (open: () => Promise<TestSocket>, backend: Backend) => Promise<void>,
  server: object = {},
): Promise<void> {
  const entry = resolve(import.meta.dir, "../../lua/examples", example, "entry.lua");
  const node = await Connmix.start("dev", freePorts({ entry, ...server }));
  const sockets: TestSocket[] = [];
  const open = async (url: string) => {
    const socket = await TestSocket.connect(url);
    sockets.push(socket);
    return socket;
  };
  try {
    const backend = new Backend(await open(`ws://127.0.0.1:${node.apiPort}/ws/v1`));
    await dialogue(() => open(`ws://127.0.0.1:${node.serverPort()}`), backend);
    expect(node.lines.filter((line) => line.includes("  ERROR  "))).toEqual([]);
  } finally {
    for (const socket of sockets) socket.close();
    await node.stop();
  }
}

/** What a backend does on the API. */
class Backend {
  constructor(readonly socket: TestSocket) {}

  async call(method: string, params: unknown[]): Promise<unknown> {
    this.socket.sendJson({ method, params, id: 1 });
    const reply = await this.socket.json();
    expect(reply.error).toBeNull();
    return reply.result;
  }

  async publish(channel: string, data: object, total: number): Promise<void> {
    expect(await this.call("mesh.publish", [{ channel, data }])).toEqual({ success: true, fail: 0, total });
  }
}

async function ask(client: TestSocket, request: object, reply: object): Promise<void> {
  client.sendJson(request);
  expect(await client.json()).toEqual(reply);
}

test(
  "chat room",
  () =>
    play("chat-room", async (open) => {
      const [ann, bob] = [await open(), await open()];
      await ask(ann, { op: "say", text: "early" }, { op: "error", message: "join a room first" });
      await ask(ann, { op: "join", room: "lobby" }, { op: "error", message: "expected room and name" });
      await ask(ann, { op: "join", room: "lobby", name: "Ann" }, { op: "joined", name: "Ann" });
      await ask(bob, { op: "join", room: "lobby", name: "Bob" }, { op: "joined", name: "Bob" });
      expect(await ann.json()).toEqual({ op: "joined", name: "Bob" });
      await ask(ann, { op: "say", text: 'hello "你好"' }, { op: "said", name: "Ann", text: 'hello "你好"' });
      expect(await bob.json()).toEqual({ op: "said", name: "Ann", text: 'hello "你好"' });
      const wrong = { op: "error", message: "expected a JSON object with op join, say or leave" };
      await ask(bob, { op: "shout" }, wrong);
      bob.send("no JSON");
      expect(await bob.json()).toEqual(wrong);
      await ask(bob, { op: "join", room: "attic", name: "Bob" }, { op: "joined", name: "Bob" });
      expect(await ann.json()).toEqual({ op: "left", name: "Bob" });
      await ask(bob, { op: "join", room: "lobby", name: "Bob" }, { op: "joined", name: "Bob" });
      expect(await ann.json()).toEqual({ op: "joined", name: "Bob" });
      bob.terminate();
      expect(await ann.json()).toEqual({ op: "left", name: "Bob" });
      ann.sendJson({ op: "leave" });
      await ask(ann, { op: "say", text: "late" }, { op: "error", message: "join a room first" });
    }),
  20_000,
);

test(
  "video comments",
  () =>
    play("video-comments", async (open, backend) => {
      expect(await backend.call("queue.consume", ["comments"])).toEqual({ success: true });
      const [viewer, other, elsewhere] = [await open(), await open(), await open()];
      await ask(
        viewer,
        { op: "comment", at: 1, text: "x" },
        { op: "comment", ok: false, error: "watch a video first" },
      );
      await ask(
        viewer,
        { op: "watch", video: "x" },
        { op: "watch", ok: false, error: "expected video to be a number" },
      );
      for (const client of [viewer, other]) await ask(client, { op: "watch", video: 1002 }, { op: "watch", ok: true });
      await ask(elsewhere, { op: "watch", video: 7 }, { op: "watch", ok: true });
      await ask(viewer, { op: "comment", at: 12.5, text: "wow" }, { op: "comment", ok: true });
      const event = await backend.socket.json();
      expect(event.result).toMatchObject({ queue: "comments", data: { video: 1002, at: 12.5, text: "wow" } });
      const shown = { op: "comment", at: 12.5, text: "wow" };
      await backend.publish("video:1002", shown, 2);
      for (const client of [viewer, other]) expect(await client.json()).toEqual(shown);
      const tooLong = { op: "comment", ok: false, error: "expected 1 to 100 characters of text" };
      await ask(viewer, { op: "comment", at: 1, text: "你".repeat(101) }, tooLong);
      await ask(viewer, { op: "comment", at: 1, text: "" }, tooLong);
      await ask(other, { op: "watch", video: 7 }, { op: "watch", ok: true });
      await backend.publish("video:7", shown, 2);
      expect(await elsewhere.json()).toEqual(shown);
      for (const wrong of ["[]", "5", '"op"', "null", "no JSON", '{"op":{}}']) {
        viewer.send(wrong);
        expect(await viewer.json()).toEqual({ ok: false, error: "expected a JSON object with op watch or comment" });
      }
    }),
  20_000,
);

test("exchange stream", async () => {
  const logins = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const { token } = (await request.json()) as { token: string };
      if (token === "odd") return new Response("<html>");
      return token === "t0ken" ? Response.json({ user_id: 42 }) : new Response(null, { status: 401 });
    },
  });
  const options = [{ name: "login_url", value: `${logins.url}login` }];
  const dialogue = async (open: () => Promise<TestSocket>, backend: Backend) => {
    const trader = await open();
    const ticker = { op: "subscribe", stream: "ticker:BTC-USDT" };
    const orders = { op: "subscribe", stream: "orders" };
    await ask(trader, ticker, { ...ticker, ok: true });
    await ask(trader, orders, { ...orders, ok: false, error: "log in first to subscribe to orders" });
    await ask(trader, { op: "login", token: "guess" }, { op: "login", ok: false, error: "wrong token" });
    await ask(trader, { op: "login" }, { op: "login", ok: false, error: "expected token" });
    await ask(trader, { op: "login", token: "t0ken" }, { op: "login", ok: true });
    await ask(trader, orders, { ...orders, ok: true });
    for (const stream of ["orders:7", "ticker:*", "user:1", "Ticker:BTC-USDT"]) {
      await ask(
        trader,
        { op: "subscribe", stream },
        { op: "subscribe", stream, ok: false, error: `no such stream: ${stream}` },
      );
    }
    await backend.publish("ticker:BTC-USDT", { price: "64000.5" }, 1);
    expect(await trader.json()).toEqual({ price: "64000.5" });
    await backend.publish("orders:42", { order: 1 }, 1);
    expect(await trader.json()).toEqual({ order: 1 });
    await ask(
      trader,
      { op: "unsubscribe", stream: "ticker:BTC-USDT" },
      { op: "unsubscribe", stream: "ticker:BTC-USDT", ok: true },
    );
    await backend.publish("ticker:BTC-USDT", { price: "1" }, 0);
  };
  try {
    await play("exchange-stream", dialogue, { options });
  } finally {
    await logins.stop(true);
  }
}, 20_000);

test("exchange stream without its backend", async () => {
  const entry = resolve(import.meta.dir, "../../lua/examples/exchange-stream/entry.lua");
  const options = [{ name: "login_url", value: "http://127.0.0.1:1/login" }];
  const node = await Connmix.start("dev", freePorts({ entry, options }));
  const trader = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  const later = { op: "login", ok: false, error: "login is not possible now, try again later" };
  await ask(trader, { op: "login", token: "t0ken" }, later);
  await node.line(/ERROR.*login: http POST http:\/\/127\.0\.0\.1:1\/login: ECONNREFUSED/);
  trader.close();
  await node.stop();
}, 20_000);

test(
  "message centre",
  () =>
    play("message-center", async (open, backend) => {
      expect(await backend.call("queue.consume", ["login", "read"])).toEqual({ success: true });
      const page = await open();
      await ask(page, { op: "read", id: 7 }, { op: "read", ok: false, error: "log in first" });
      page.sendJson({ op: "login", token: "t0ken" });
      const { client_id, queue, data } = (await backend.socket.json()).result;
      expect({ queue, data }).toEqual({ queue: "login", data: { token: "t0ken" } });
      await backend.call("conn.call", [{ client_id, func: "set_context_value", args: ["user_id", 42] }]);
      expect(await page.json()).toEqual({ op: "login", ok: true });
      const message = { op: "message", id: 7, text: "Your parcel is here" };
      await backend.publish("user:42", message, 1);
      expect(await page.json()).toEqual(message);
      await ask(page, { op: "read", id: 7 }, { op: "read", ok: true });
      expect((await backend.socket.json()).result).toMatchObject({ queue: "read", data: { user_id: 42, id: 7 } });
      await backend.publish("everybody", { op: "message", id: 8, text: "for all" }, 1);
      expect(await page.json()).toMatchObject({ id: 8 });
      await ask(page, { op: "login", token: "t0ken" }, { op: "login", ok: false, error: "already logged in" });
    }),
  20_000,
);

test(
  "message centre with a backend that does not answer",
  () =>
    play("message-center", async (open) => {
      const page = await open();
      await ask(page, { op: "login", token: "t0ken" }, { op: "login", ok: false, error: "login failed" });
    }),
  20_000,
);
