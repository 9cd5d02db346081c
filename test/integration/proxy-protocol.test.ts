import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../support/certificates.ts";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { LineClient } from "../support/line-client.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const V1 = "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
const V2 = Buffer.from("0d0a0d0a000d0a515549540a2111000cc0000201c0000202dc0401bb", "hex");
const V2_LOCAL = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");

const LINES = `
local text = require("protocols.text")
protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
function on_message(msg, conn)
  conn:send(msg .. " from " .. conn:remote_addr())
end
`;

/** Long messages come back as they are, short ones with the sender's address. */
const WEBSOCKET = `
function on_message(msg, conn)
  if #msg.data > 100 then return conn:send(msg.data) end
  conn:send(msg.data .. " from " .. conn:remote_addr())
end
`;

const UPGRADE = [
  "GET / HTTP/1.1",
  "Host: localhost",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");
/** The text frame "hi", with a mask of zeros. */
const HI = Buffer.from("818200000000" + "6869", "hex");

let folder: string;
let node: Connmix;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "connmix-proxy-"));
  const tls = await makeCertificate(folder, "proxied");
  const proxied = { port: 0, bind: "127.0.0.1", trustedProxies: ["127.0.0.1"], proxyProtocol: true };
  const stranger = { ...proxied, trustedProxies: ["10.0.0.5"] };
  const limits = { readBufferSize: 16 * 1024 * 1024 };
  const servers = [
    { ...proxied, entry: "lines.lua", protocol: "socket" },
    { ...stranger, entry: "lines.lua", protocol: "socket" },
    { ...proxied, ...limits, entry: "websocket.lua" },
    { ...stranger, ...limits, entry: "websocket.lua", writeTimeout: 1, writeBufferSize: 64 * 1024 * 1024 },
    { ...stranger, entry: "websocket.lua", tls },
  ];
  const files = { "lines.lua": LINES, "websocket.lua": WEBSOCKET };
  node = await Connmix.start("dev", freePorts({}, { servers }), { files, servers: servers.length });
});

afterAll(async () => {
  await node.kill();
  rmSync(folder, { recursive: true });
});

async function protocolErrors(protocol: string): Promise<number> {
  return metric(await scrape(node.apiPort), "connmix_engine_servers_protocol_errors_total", `protocol="${protocol}"`);
}

describe("a socket server", () => {
  async function answer(port: number, ...parts: (string | Uint8Array)[]): Promise<string> {
    const client = await LineClient.connect(port);
    for (const part of parts) {
      client.send(part);
      await Bun.sleep(1);
    }
    const line = await Promise.race([client.line(), client.closed.then(() => "closed")]);
    const local = String(client.socket.localPort);
    client.close();
    return line.replace(local, "LOCAL");
  }

  test("knows the client whom a trusted proxy names, however the header arrives", async () => {
    const port = node.serverPort(0);
    expect(await answer(port, `${V1}hello\n`)).toBe("hello from 192.0.2.1:56324");
    expect(await answer(port, V2, "hello\n")).toBe("hello from 192.0.2.1:56324");
    expect(await answer(port, ...Array.from(V2, (byte) => Uint8Array.of(byte)), "hello\n")).toBe(
      "hello from 192.0.2.1:56324",
    );
  });

  test("sees the proxy itself when that says it speaks for nobody", async () => {
    expect(await answer(node.serverPort(0), V2_LOCAL, "hello\n")).toBe("hello from 127.0.0.1:LOCAL");
    expect(await answer(node.serverPort(0), "PROXY UNKNOWN\r\nhello\n")).toBe("hello from 127.0.0.1:LOCAL");
  });

  test("closes, counts and logs a trusted proxy that sends a broken header or none", async () => {
    const before = await protocolErrors("socket");
    expect(await answer(node.serverPort(0), "PROXY TCP4 nonsense\r\nhello\n")).toBe("closed");
    expect(await answer(node.serverPort(0), "hello\n")).toBe("closed");
    await node.line(/proxy 127\.0\.0\.1 closed: expected a PROXY protocol header .* malformed/);
    await node.line(/proxy 127\.0\.0\.1 closed: expected a PROXY protocol header .* something else/);
    expect(await protocolErrors("socket")).toBe(before + 2);
  });

  test("takes a header from anyone else for the client's own bytes", async () => {
    expect(await answer(node.serverPort(1), V1)).toBe(`${V1.trim()} from 127.0.0.1:LOCAL`);
  });
});

describe("a websocket server", () => {
  /** Upgrades and says "hi" by hand; resolves with what has come when it holds `until`, or when the connection ends. */
  function exchange(port: number, header: Uint8Array | string, until: string): Promise<string> {
    return new Promise((resolve) => {
      let text = "";
      const socket = connect({ host: "127.0.0.1", port }, () => {
        socket.write(header);
        socket.write(UPGRADE);
        socket.write(HI);
      });
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        if (text.includes(until)) socket.destroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
    });
  }

  test("knows the client whom a trusted proxy names", async () => {
    const port = node.serverPort(2);
    for (const header of [V1, V2]) {
      const text = await exchange(port, header, "from 192");
      expect(text).toStartWith("HTTP/1.1 101");
      expect(text).toContain("hi from 192.0.2.1:56324");
    }
    expect(await exchange(port, V2_LOCAL, "hi from")).toMatch(/hi from 127\.0\.0\.1:\d+$/);
  });

  test("closes, counts and logs a trusted proxy that sends a broken header or none", async () => {
    const before = await protocolErrors("websocket");
    expect(await exchange(node.serverPort(2), "", "anything")).toBe("");
    expect(await exchange(node.serverPort(2), "PROXY TCP9 1\r\n", "anything")).toBe("");
    expect(await protocolErrors("websocket")).toBe(before + 2);
  });

  test("serves anyone else directly, and knows the address", async () => {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(3)}`);
    client.send("hello");
    expect(await client.text()).toMatch(/^hello from 127\.0\.0\.1:\d+$/);
    client.close();
  });

  test("passes large messages both ways, whole and in order", async () => {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(3)}`);
    const messages = [..."abcdefgh"].map((letter) => letter.repeat(4 * 1024 * 1024));
    for (const message of messages) client.send(message);
    for (const message of messages) expect((await client.text()) === message).toBe(true);
    client.close();
  });

  test("speaks TLS behind the header", async () => {
    const ca = [readFileSync(join(folder, "proxied.crt"), "utf8")];
    const client = await TestSocket.connect(`wss://127.0.0.1:${node.serverPort(4)}`, {}, { ca });
    client.send("hello");
    expect(await client.text()).toMatch(/^hello from 127\.0\.0\.1:\d+$/);
    client.close();
  });

  test("closes a client that does not read, and sees clients go", async () => {
    const port = node.serverPort(3);
    const clients = async () => metric(await scrape(node.apiPort), "connmix_engine_servers_clients");
    await eventually(async () => expect(await clients()).toBe(0));
    const socket = connect({ host: "127.0.0.1", port });
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {});
    // A frame of 1 MiB, again and again, and never a read.
    const frame = Buffer.concat([Buffer.from("81ff000000000010000000000000", "hex"), Buffer.alloc(1024 * 1024, "x")]);
    socket.write(UPGRADE);
    for (let i = 0; i < 24; i++) socket.write(frame);
    await node.line(/closed as too slow/);
    await eventually(async () => expect(await clients()).toBe(0));
    socket.destroy();
    await closed;

    const leaving = await TestSocket.connect(`ws://127.0.0.1:${port}`);
    await eventually(async () => expect(await clients()).toBe(1));
    leaving.terminate();
    await eventually(async () => expect(await clients()).toBe(0));
  });
});

test("clients behind a proxy see the close of a drain", async () => {
  const server = { entry: "websocket.lua", trustedProxies: ["10.0.0.5"], proxyProtocol: true };
  const other = await Connmix.start("dev", freePorts(server), { files: { "websocket.lua": WEBSOCKET } });
  const client = await TestSocket.connect(`ws://127.0.0.1:${other.serverPort()}`);
  expect(await other.stop()).toBe(0);
  expect((await client.closed).code).toBe(1001);
});
