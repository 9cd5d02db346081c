import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

/** What the callbacks saw goes to the topic `seen`. */
const SCRIPT = `
function on_handshake(client_id, headers, server, conn)
  if headers["x-refuse"] == "now" then return false end
  if headers["x-refuse"] == "later" then
    mix.sleep(0.3)
    return false
  end
  conn:set_context_value("server", server)
  conn:set_context_value("headers", headers)
end
function on_message(msg, conn)
  if msg.data == "about" then
    conn:send(mix.json_encode(conn:context()))
  elseif msg.data == "close" then
    conn:close(4002, "as asked")
  elseif msg.data == "slow close" then
    mix.sleep(0.3)
    conn:close()
  elseif msg.data == "fail" then
    error("on purpose")
  else
    mix.queue.push("seen", { message = msg.data, type = msg.type })
    conn:send(msg.data, msg.type)
  end
end
function on_close(client_id, err, conn)
  mix.queue.push("seen", { closed = client_id, err = err or mix.null })
end
`;

let node: Connmix;
let seen: TestSocket;
const sockets: Socket[] = [];

beforeAll(async () => {
  const config = freePorts({ entry: "entry.lua", readBufferSize: 100_000 });
  node = await Connmix.start("dev", config, { files: { "entry.lua": SCRIPT } });
  seen = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
  seen.sendJson({ m: "queue.consume", p: { t: ["seen"] }, i: 1 });
  expect(await seen.json()).toEqual({ E: null, r: { s: true }, i: 1 });
});
afterAll(async () => {
  await node.stop();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

const url = () => `ws://127.0.0.1:${node.serverPort()}`;
const connectClient = (headers: Record<string, string> = {}) => TestSocket.connect(url(), headers);
const nextSeen = async () => (await seen.json()).p.d;

/** Sends a request as it is; resolves with all that comes until the server ends or `until` holds. */
async function raw(request: string, until = (_text: string) => false): Promise<{ text: string; socket: Socket }> {
  const socket = connect(node.serverPort(), "127.0.0.1");
  sockets.push(socket);
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  let ended = false;
  socket.on("close", () => {
    ended = true;
  });
  socket.write(request);
  await eventually(() => expect(ended || until(text)).toBe(true), 15_000);
  return { text, socket };
}

const UPGRADE = [
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];
const request = (first: string, ...headers: string[]) => `${[first, ...headers].join("\r\n")}\r\n\r\n`;
const headEnd = (text: string) => text.includes("\r\n\r\n");

describe("on_handshake", () => {
  test("knows the request's headers and the server's side of it", async () => {
    const client = await TestSocket.connect(`${url()}/chat?room=1`, { "X-Token": "abc", "User-Agent": "acceptance" });
    client.send("about");
    const { headers, server } = await client.json();
    expect(headers["x-token"]).toBe("abc");
    expect(headers["user-agent"]).toBe("acceptance");
    expect(server).toEqual({
      Method: "GET",
      RequestUri: "/chat?room=1",
      ServerProtocol: "HTTP/1.1",
      Host: `127.0.0.1:${node.serverPort()}`,
      RemoteAddr: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    });
    client.close();
    expect(await nextSeen()).toEqual({ closed: expect.stringMatching(/^\d+$/), err: null });
  });

  test("that returns false closes with 1008, and on_close runs as for everyone", async () => {
    const client = await connectClient({ "X-Refuse": "now" });
    expect(await client.closed).toEqual({ code: 1008, reason: "refused by the script" });
    expect(await nextSeen()).toMatchObject({ closed: expect.stringMatching(/^\d+$/) });
  });

  test("that takes its time and returns false lets no message through", async () => {
    const client = await connectClient({ "X-Refuse": "later" });
    client.send("let me in");
    client.send("please");
    expect((await client.closed).code).toBe(1008);
    expect(await nextSeen()).toMatchObject({ closed: expect.stringMatching(/^\d+$/) });
  });
});

describe("conn:close", () => {
  test("gives the client the code and the reason; err is nil, for the script closed it itself", async () => {
    const client = await connectClient();
    client.send("close");
    client.send("nobody should see this");
    expect(await client.closed).toEqual({ code: 4002, reason: "as asked" });
    expect(await nextSeen()).toEqual({ closed: expect.stringMatching(/^\d+$/), err: null });
  });

  test("drops what the client sent meanwhile, also what waited behind a callback", async () => {
    const client = await connectClient();
    client.send("slow close");
    client.send("nobody should see this");
    expect((await client.closed).code).toBe(1000);
    expect(await nextSeen()).toEqual({ closed: expect.stringMatching(/^\d+$/), err: null });
  });
});

describe("on_close's err", () => {
  test.each([undefined, 1000])("is nil when the client closes with %p", async (code) => {
    const client = await connectClient();
    client.close(code);
    expect((await nextSeen()).err).toBeNull();
  });

  test("tells a code of the client's own, and its reason", async () => {
    const client = await connectClient();
    client.close(4999, "had enough");
    expect((await nextSeen()).err).toBe("4999 had enough");
  });

  test("says that the connection was lost", async () => {
    const client = await connectClient();
    client.terminate();
    expect((await nextSeen()).err).toBe("connection lost (1006)");
  });

  test("says that a message was too large", async () => {
    const client = await connectClient();
    client.send("x".repeat(100_001));
    expect((await client.closed).code).toBe(1009);
    expect((await nextSeen()).err).toBe("message larger than 100000 bytes");
  });
});

test("an error in on_message is logged with script, line and traceback, and the connection goes on", async () => {
  const client = await connectClient();
  client.send("fail");
  client.send("still here");
  expect(await client.text()).toBe("still here");
  expect(await nextSeen()).toEqual({ message: "still here", type: "text" });
  await node.line(/on_message of client \d+ failed: \S*entry\.lua:20: on purpose/);
  await node.line(/stack traceback:/);
  client.close();
  await nextSeen();
});

test("binary messages come and go as binary", async () => {
  const client = await connectClient();
  client.send(new Uint8Array([1, 2, 3]));
  expect(await client.next()).toEqual(Buffer.from([1, 2, 3]));
  expect(await nextSeen()).toEqual({ message: "\u0001\u0002\u0003", type: "binary" });
  client.close();
  await nextSeen();
});

describe("requests that are not what a WebSocket client sends", () => {
  test("HTTP/1.0 without Host is told what is expected", async () => {
    const { text } = await raw(request("GET / HTTP/1.0"), headEnd);
    expect(text).toMatch(/^HTTP\/1\.[01] (400|426) /);
  });

  test("HTTP/1.1 without Host", async () => {
    const { text } = await raw(request("GET / HTTP/1.1"), headEnd);
    expect(text).toMatch(/^HTTP\/1\.[01] (400|426) /);
  });

  test("an upgrade without Host", async () => {
    const { text } = await raw(request("GET /chat HTTP/1.1", ...UPGRADE), headEnd);
    expect(text).toMatch(/^HTTP\/1\.1 (101|400) /);
  });

  test("an absolute request target", async () => {
    const { text } = await raw(request("GET http://somewhere.example/chat HTTP/1.1", "Host: x", ...UPGRADE), headEnd);
    expect(text).toMatch(/^HTTP\/1\.1 (101|400) /);
  });

  test.each(["//", "/%", "/\\", "*", "/\xff"])("a request for %j", async (target) => {
    const { text } = await raw(request(`GET ${target} HTTP/1.1`, "Host: x", ...UPGRADE), headEnd);
    expect(text).toMatch(/^HTTP\/1\.1 (101|400) |^$/);
  });

  test("another WebSocket version, a key that is none", async () => {
    const version = UPGRADE.map((header) => header.replace("Version: 13", "Version: 8"));
    expect((await raw(request("GET / HTTP/1.1", "Host: x", ...version), headEnd)).text).toMatch(/^HTTP\/1\.1 4\d\d /);
    const key = UPGRADE.filter((header) => !header.includes("Key"));
    expect((await raw(request("GET / HTTP/1.1", "Host: x", ...key), headEnd)).text).toMatch(/^HTTP\/1\.1 4\d\d /);
  });

  test("bytes that are no HTTP at all", async () => {
    const { text } = await raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello \r\n\r\n");
    expect(text).not.toContain("500");
  });
});

describe("subprotocols", () => {
  const offering = (...headers: string[]) => raw(request("GET / HTTP/1.1", "Host: x", ...UPGRADE, ...headers), headEnd);

  test("the first one offered is taken, which browsers insist on", async () => {
    const { text } = await offering("Sec-WebSocket-Protocol: chat.v2, chat.v1");
    expect(text.toLowerCase()).toContain("\r\nsec-websocket-protocol: chat.v2\r\n");
  });

  test("none is named when none is offered", async () => {
    const { text } = await offering();
    expect(text.toLowerCase()).not.toContain("sec-websocket-protocol");
  });
});

test("an extension that is offered and not known is left out of the answer", async () => {
  const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-unknown";
  const { text } = await raw(request("GET / HTTP/1.1", "Host: x", ...UPGRADE, offer), headEnd);
  expect(text).toMatch(/^HTTP\/1\.1 101 /);
  expect(text.toLowerCase()).not.toContain("sec-websocket-extensions");
});

/** A masked text frame with an all-zero key. */
const frame = (text: string) => `\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`;

test("a client that ends its half of the connection after a message still gets the answer, and then goes", async () => {
  const socket = connect({ port: node.serverPort(), host: "127.0.0.1", allowHalfOpen: true });
  sockets.push(socket);
  let text = "";
  let ended = false;
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("end", () => {
    ended = true;
  });
  socket.write(request("GET / HTTP/1.1", "Host: x", ...UPGRADE));
  await eventually(() => expect(headEnd(text)).toBe(true));
  socket.end(Buffer.from(frame("last words"), "latin1"));
  await eventually(() => expect(text).toContain("last words"));
  await eventually(() => expect(ended).toBe(true));
});

test("fragments become one message, control frames between them are answered", async () => {
  const { socket } = await raw(request("GET / HTTP/1.1", "Host: x", ...UPGRADE), headEnd);
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  const piece = (opcode: number, data: string) =>
    Buffer.concat([Buffer.from([opcode, 0x80 | data.length, 0, 0, 0, 0]), Buffer.from(data)]);
  for (const byte of Buffer.concat([piece(0x01, "one "), piece(0x89, "are you there"), piece(0x80, "message")])) {
    socket.write(Buffer.from([byte]));
  }
  await eventually(() => expect(text).toContain("\x81\x0bone message"));
  expect(text).toContain("\x8a\x0dare you there");
});

describe("frames that break the protocol end the connection, are logged and counted, and on_close is told", () => {
  const header = (...bytes: number[]) => Buffer.from(bytes);
  const masked = [0, 0, 0, 0];
  test.each([
    ["text that is not UTF-8", header(0x81, 0x82, ...masked, 0xc3, 0x28)],
    ["a frame that is not masked", header(0x81, 0x02, 0x68, 0x69)],
    ["reserved bits", header(0xc1, 0x82, ...masked, 0x68, 0x69)],
    ["an opcode that does not exist", header(0x83, 0x82, ...masked, 0x68, 0x69)],
    ["a ping in fragments", header(0x09, 0x82, ...masked, 0x68, 0x69)],
    ["a ping of more than 125 bytes", Buffer.concat([header(0x89, 0xfe, 0, 200, ...masked), Buffer.alloc(200)])],
    ["a fragment that continues nothing", header(0x80, 0x82, ...masked, 0x68, 0x69)],
  ])("%s", async (_, bytes) => {
    const errors = async () => metric(await scrape(node.apiPort), "connmix_engine_servers_protocol_errors_total");
    const before = await errors();
    const { socket } = await raw(request("GET / HTTP/1.1", "Host: x", ...UPGRADE), headEnd);
    const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.write(bytes);
    await ended;
    // Those of the tests before may still be ending.
    let told = await nextSeen();
    while (!told.err?.startsWith("received ")) told = await nextSeen();
    expect(await errors()).toBe(before + 1);
    await node.line(/client \d+ \(127\.0\.0\.1:\d+\) closed: received /);
  });
});

test("a flood of upgrades that never finish leaves nothing behind", async () => {
  for (let i = 0; i < 200; i++) {
    const socket = connect(node.serverPort(), "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: webso");
    sockets.push(socket);
  }
  const client = await connectClient();
  client.send("through the crowd");
  expect(await client.text()).toBe("through the crowd");
  for (const socket of sockets) socket.destroy();
  client.close();
  await eventually(async () => {
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_clients")).toBe(0);
  });
});

test("nothing of all this was left uncaught", () => {
  expect(node.lines.filter((line) => line.includes("uncaught"))).toEqual([]);
});
