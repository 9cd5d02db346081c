import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { resolve } from "node:path";
import { chromium } from "playwright-core";
import { Connmix, freePorts } from "../support/connmix.ts";
import { LineClient } from "../support/line-client.ts";
import { TestSocket } from "../support/websocket.ts";

const TEXT = `
local text = require("protocols.text")
protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
function on_connect(client_id, conn) conn:subscribe("all") end
function on_message(line, conn)
  if line == "id" then return conn:send(conn:client_id()) end
  if line == "slow" then mix.sleep(0.2) end
  conn:send("you said " .. line)
end
`;
const JSONRPC = `
local jsonrpc = require("protocols.jsonrpc")
protocol_input, protocol_decode, protocol_encode = jsonrpc.input, jsonrpc.decode, jsonrpc.encode
on_message = jsonrpc.server({
  add = function(params) return params[1] + params[2] end,
  later = function(params) mix.sleep(0.1); return params end,
})
`;

let node: Connmix;
let backend: TestSocket;

beforeAll(async () => {
  const server = (entry: string) => ({ port: 0, bind: "127.0.0.1", protocol: "socket", entry });
  const servers = [
    server(resolve(import.meta.dir, "../../lua/entry.socket.lua")),
    server("text.lua"),
    server("jsonrpc.lua"),
  ];
  node = await Connmix.start("dev", freePorts({}, { servers }), {
    files: { "text.lua": TEXT, "jsonrpc.lua": JSONRPC },
    servers: 3,
  });
  backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
  backend.sendJson({ method: "queue.consume", params: ["foo"], id: 1 });
  expect((await backend.json()).result).toEqual({ success: true });
}, 30_000);

afterAll(async () => {
  backend?.close();
  await node?.stop();
});

async function send(client_id: string, data: string, type?: string): Promise<unknown> {
  backend.sendJson({ method: "mesh.send", params: [{ client_id, data, type }], id: 2 });
  return (await backend.json()).result;
}

const delivered = { success: true, fail: 0, total: 1 };

describe("entry.socket.lua speaks WebSocket", () => {
  test("with Bun's client: what it sends is pushed to foo, mesh.send reaches it as text", async () => {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(0)}/chat?x=1`, { "X-Who": "bun" });
    client.send("test");
    const { result } = await backend.json();
    expect(result).toMatchObject({ queue: "foo", data: { msg: { data: "test", finish: true, type: "text" } } });
    expect(result.data.ctx.headers["x-who"]).toBe("bun");
    expect(await send(result.client_id, "hello, world!")).toEqual(delivered);
    expect(await client.next()).toBe("hello, world!");
    expect(await send(result.client_id, Buffer.from([0, 255]).toString("base64"), "binary")).toEqual(delivered);
    expect(await client.next()).toEqual(Buffer.from([0, 255]));
    const large = "x".repeat(300_000);
    client.send(large);
    expect((await backend.json()).result.data.msg.data).toBe(large);
    client.close(3001, "done");
    expect(await client.closed).toMatchObject({ code: 3001 });
  });

  test("a ping of the client is answered", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${node.serverPort(0)}`) as unknown as Bun.WebSocket;
    await new Promise((resolve) => {
      socket.onopen = resolve;
    });
    const pong = new Promise((resolve) => {
      socket.addEventListener("pong", (event) => resolve(Buffer.from(event.data).toString()));
    });
    socket.ping("are you there");
    expect(await pong).toBe("are you there");
    socket.close();
  });

  test("a message beyond the limit is closed with 1009", async () => {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(0)}`);
    client.send("x".repeat(1_000_001));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  test("a plain HTTP request is told what is expected", async () => {
    const response = await fetch(`http://127.0.0.1:${node.serverPort(0)}/`);
    expect(response.status).toBe(426);
    expect(await response.text()).toBe("expected a WebSocket upgrade");
  });

  test("with a browser", async () => {
    // Chromium lets only pages of this machine connect to it.
    const site = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("a page") });
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      await page.goto(site.url.href);
      const received = page.evaluate(
        (url) =>
          new Promise((resolve, reject) => {
            const socket = new WebSocket(url);
            socket.onerror = () => reject(new Error("no connection"));
            socket.onopen = () => socket.send("from a browser: 你好");
            socket.onmessage = (message) => {
              socket.close(4001, "thanks");
              socket.onclose = ({ code, wasClean }) => resolve({ data: message.data, code, wasClean });
            };
          }),
        `ws://127.0.0.1:${node.serverPort(0)}/`,
      );
      const { result } = await backend.json(20_000);
      expect(result.data.msg.data).toBe("from a browser: 你好");
      expect(result.data.ctx.headers["user-agent"]).toContain("Chrome");
      expect(await send(result.client_id, "hello, browser")).toEqual(delivered);
      expect(await received).toEqual({ data: "hello, browser", code: 4001, wasClean: true });
    } finally {
      await browser.close();
      await site.stop(true);
    }
  }, 60_000);
});

describe("text over TCP", () => {
  test("lines, however they are cut", async () => {
    const client = await LineClient.connect(node.serverPort(1));
    for (const byte of "one\r\ntwo\n") {
      client.send(byte);
      await Bun.sleep(1);
    }
    client.send("three\nfo");
    client.send("ur\n");
    for (const line of ["one", "two", "three", "four"]) expect(await client.line()).toBe(`you said ${line}`);
    client.close();
  });

  test("a line that waits keeps the next ones in order", async () => {
    const client = await LineClient.connect(node.serverPort(1));
    const other = await LineClient.connect(node.serverPort(1));
    client.send("slow\nquick\n");
    other.send("meanwhile\n");
    expect(await other.line()).toBe("you said meanwhile");
    expect(await client.line()).toBe("you said slow");
    expect(await client.line()).toBe("you said quick");
    client.close();
    other.close();
  });

  test("mesh.send and mesh.publish pass through protocol_encode", async () => {
    const client = await LineClient.connect(node.serverPort(1));
    client.send("id\n");
    const id = await client.line();
    expect(await send(id, "to you")).toEqual(delivered);
    expect(await client.line()).toBe("to you");
    backend.sendJson({ method: "mesh.publish", params: [{ channel: "all", data: "to all" }], id: 3 });
    expect((await backend.json()).result).toMatchObject({ success: true, fail: 0 });
    expect(await client.line()).toBe("to all");
    backend.sendJson({ method: "mesh.send", params: [{ client_id: id, data: "two\nlines" }], id: 4 });
    expect((await backend.json()).error).toMatchObject({ code: 401 });
    client.close();
  });
});

test("jsonrpc over TCP", async () => {
  const client = await LineClient.connect(node.serverPort(2));
  client.send(
    '{"jsonrpc":"2.0","method":"later","params":[1],"id":1}\n{"jsonrpc":"2.0","method":"add","params":[1,2],"id":2}\n{oops\n',
  );
  expect(JSON.parse(await client.line())).toEqual({ jsonrpc: "2.0", result: [1], id: 1 });
  expect(JSON.parse(await client.line())).toEqual({ jsonrpc: "2.0", result: 3, id: 2 });
  expect(JSON.parse(await client.line())).toMatchObject({ error: { code: -32700 }, id: null });
  client.close();
});
