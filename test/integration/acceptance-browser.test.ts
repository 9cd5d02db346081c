import { afterAll, beforeAll, expect, test } from "bun:test";
import { resolve } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { Connmix, freePorts } from "../support/connmix.ts";
import { TestSocket } from "../support/websocket.ts";

let node: Connmix;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  const entry = (name: string) => resolve(import.meta.dir, `../../lua/${name}`);
  const servers = [
    { port: 0, bind: "127.0.0.1", entry: entry("entry.lua") },
    { port: 0, bind: "127.0.0.1", entry: entry("entry.socket.lua"), protocol: "socket" },
  ];
  node = await Connmix.start("dev", freePorts({}, { servers }), { servers: 2 });
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${node.apiPort}/version`);
}, 30_000);
afterAll(async () => {
  await browser?.close();
  await node?.stop();
});

test("a page is a client of entry.lua: what it sends is consumed, and it is answered, text and binary", async () => {
  const url = `ws://127.0.0.1:${node.serverPort()}`;
  const opened = await page.evaluate(
    (address) =>
      new Promise<{ protocol: string; extensions: string }>((done, failed) => {
        const socket = new WebSocket(address);
        socket.binaryType = "arraybuffer";
        const got: (string | number[])[] = [];
        const seen = { socket, got, closed: undefined as number | undefined };
        Object.assign(window, { seen });
        socket.onopen = () => {
          socket.send("from a browser ünïcode");
          done({ protocol: socket.protocol, extensions: socket.extensions });
        };
        socket.onmessage = ({ data }) => got.push(typeof data === "string" ? data : [...new Uint8Array(data)]);
        socket.onclose = ({ code }) => {
          seen.closed = code;
        };
        socket.onerror = () => failed(new Error("the browser could not connect"));
      }),
    url,
  );
  expect(opened).toEqual({ protocol: "", extensions: "" });
  const backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
  backend.sendJson({ method: "queue.consume", params: ["foo"], id: 1 });
  expect((await backend.json()).result).toEqual({ success: true });
  const { result } = await backend.json();
  expect(result.data.msg).toEqual({ type: "text", data: "from a browser ünïcode", finish: true });
  expect(result.data.ctx.headers["user-agent"]).toContain("Chrome");
  const { client_id } = result;
  backend.sendJson({
    method: "mesh.send",
    params: [
      { client_id, data: "hello, world!" },
      { client_id, data: "AAH/", type: "binary" },
    ],
    id: 2,
  });
  expect((await backend.json()).result).toEqual({ success: true, fail: 0, total: 2 });
  await page.waitForFunction("seen.got.length === 2");
  expect(await page.evaluate("seen.got")).toEqual(["hello, world!", [0, 1, 255]]);
  backend.sendJson({ method: "conn.call", params: [{ client_id, func: "close", args: [4000, "enough"] }], id: 3 });
  expect((await backend.json()).result).toEqual({ success: true });
  await page.waitForFunction("seen.closed === 4000");
});

test.each([
  ["native", 0],
  ["in Lua", 1],
])(
  "a page that asks for subprotocols gets the first one, without which its browser would hang up: %s",
  async (_, server) => {
    const url = `ws://127.0.0.1:${node.serverPort(server)}`;
    const protocol = await page.evaluate(
      (address) =>
        new Promise<string>((done) => {
          const socket = new WebSocket(address, ["chat.v2", "chat.v1"]);
          socket.onopen = () => {
            done(socket.protocol);
            socket.close();
          };
          socket.onerror = () => done("could not connect");
        }),
      url,
    );
    expect(protocol).toBe("chat.v2");
  },
);
