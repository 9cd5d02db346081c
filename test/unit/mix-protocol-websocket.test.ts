import { describe, expect, test } from "bun:test";
import { type RecordedConnection, Scripted } from "../support/scripted.ts";

const MAX = 1000;
const server = new Scripted(
  `
  local websocket = require("protocols.websocket")
  protocol_input, protocol_decode, protocol_encode = websocket.input, websocket.decode, websocket.encode
  on_close = websocket.on_close
  websocket.max_message = ${MAX}
  websocket.path = "/chat"
  function websocket.on_handshake(client_id, headers, server, conn)
    conn:set_context_value("seen", { headers = headers, server = server, id = client_id })
    return headers["x-refuse"] == nil
  end
  function on_message(msg, conn)
    if msg.data == "late" then return mix.log(mix.ERROR, "a message after the close") end
    if msg.data == "bye" then return websocket.close(conn, 4000, "as you wish") end
    if msg.data == "bad" then return conn:send("error: " .. tostring(conn:send({ type = "text", data = "\\xff" }))) end
    conn:send({ type = msg.type, data = msg.data })
  end
`,
  { protocol: "socket" },
);

const REQUEST = [
  "GET /chat?room=1 HTTP/1.1",
  "Host: server.example.com",
  "Upgrade: websocket",
  "Connection: keep-alive, Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Origin: http://example.com",
  "Sec-WebSocket-Version: 13",
];
const head = (lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;
const without = (name: string) => REQUEST.filter((line) => !line.startsWith(`${name}:`));

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FINAL = 0x80;

/** A frame as a client sends it: masked. */
function frame(first: number, payload: Uint8Array | string, mask = [0x37, 0xfa, 0x21, 0x3d]): Buffer {
  const data = Buffer.from(payload);
  return Buffer.concat([
    header(first, data.length, 0x80),
    Buffer.from(mask),
    data.map((byte, i) => byte ^ mask[i % 4]!),
  ]);
}

/** A frame as the server sends it. */
function reply(opcode: number, payload: Uint8Array | string): Buffer {
  const data = Buffer.from(payload);
  return Buffer.concat([header(FINAL | opcode, data.length, 0), data]);
}

function header(first: number, size: number, masked: number): Buffer {
  if (size < 126) return Buffer.from([first, masked | size]);
  const bytes = Buffer.alloc(size < 0x10000 ? 4 : 10);
  bytes[0] = first;
  bytes[1] = masked | (size < 0x10000 ? 126 : 127);
  if (size < 0x10000) bytes.writeUInt16BE(size, 2);
  else bytes.writeBigUInt64BE(BigInt(size), 2);
  return bytes;
}

const closing = (code: number, reason = "") =>
  Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]);

function upgraded(): RecordedConnection {
  const client = server.connect();
  client.feed(head(REQUEST));
  expect(client.taken().toString()).toStartWith("HTTP/1.1 101 ");
  return client;
}

/** What comes back for `bytes`, in whatever pieces they arrive. */
function exchange(bytes: Uint8Array, chunk?: number): { sent: Buffer; open: boolean } {
  const client = upgraded();
  client.feed(bytes, chunk);
  return { sent: client.taken(), open: client.open };
}

describe("handshake", () => {
  test.each([1, 2, 3, 17, 10_000])("the example of RFC 6455 section 1.3 in chunks of %d bytes", (chunk) => {
    const client = server.connect();
    client.feed(head(REQUEST), chunk);
    expect(client.taken().toString()).toBe(
      head([
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      ]),
    );
    expect(client.context?.seen).toEqual({
      id: String(client.id),
      headers: expect.objectContaining({ host: "server.example.com", origin: "http://example.com" }),
      server: {
        Method: "GET",
        RequestUri: "/chat?room=1",
        ServerProtocol: "HTTP/1.1",
        Host: "server.example.com",
        RemoteAddr: "192.0.2.1:5000",
      },
    });
  });

  test("a frame right behind the request is not lost", () => {
    const client = server.connect();
    client.feed(Buffer.concat([Buffer.from(head(REQUEST)), frame(FINAL | TEXT, "hi")]));
    expect(client.taken().toString("latin1")).toEndWith("\r\n\r\n\x81\x02hi");
  });

  test.each([
    ["400", "no HTTP", "hello\r\n\r\n"],
    ["400", "a lower-case method", "get / HTTP/1.1\r\n\r\n"],
    ["400", "TLS", "\x16\x03\x01"],
    ["400", "a frame before the upgrade", frame(FINAL | TEXT, "x\r\n\r\n").toString("latin1")],
    ["400", "HTTP/1.0", head(["GET /chat HTTP/1.0", ...REQUEST.slice(1)])],
    ["400", "no host", head(without("Host"))],
    ["400", "a broken header", head([...REQUEST, "what is this"])],
    ["400", "no key", head(without("Sec-WebSocket-Key"))],
    ["400", "a short key", head([...without("Sec-WebSocket-Key"), "Sec-WebSocket-Key: c2hvcnQ="])],
    [
      "400",
      "a key that is no base64",
      head([...without("Sec-WebSocket-Key"), "Sec-WebSocket-Key: ????????????????????????"]),
    ],
    ["403", "the script's refusal", head([...REQUEST, "X-Refuse: 1"])],
    ["404", "another path", head(["GET /other HTTP/1.1", ...REQUEST.slice(1)])],
    ["405", "another method", head(["POST /chat HTTP/1.1", ...REQUEST.slice(1)])],
    ["426", "no upgrade", head(without("Upgrade"))],
    ["426", "no connection: upgrade", head([...without("Connection"), "Connection: close"])],
    ["426", "another version", head([...without("Sec-WebSocket-Version"), "Sec-WebSocket-Version: 8"])],
    ["431", "an endless header", `${REQUEST.join("\r\n")}\r\nX: ${"x".repeat(20_000)}`],
    ["431", "a huge header", head([...REQUEST, `X: ${"x".repeat(20_000)}`])],
  ])("%s for %s", (status, _, request) => {
    for (const chunk of [1000, 100_000]) {
      const client = server.connect();
      client.feed(Buffer.from(request, "latin1"), chunk);
      expect(client.taken().toString()).toStartWith(`HTTP/1.1 ${status} `);
      expect(client.open).toBe(false);
    }
  });

  test("426 names the version", () => {
    const client = server.connect();
    client.feed(head([...without("Sec-WebSocket-Version"), "Sec-WebSocket-Version: 8"]));
    expect(client.taken().toString()).toContain("\r\nSec-WebSocket-Version: 13\r\n");
  });
});

describe("messages", () => {
  const cases: [string, Buffer, Buffer][] = [
    ["text", frame(FINAL | TEXT, "Hello"), reply(TEXT, "Hello")],
    ["the empty text", frame(FINAL | TEXT, ""), reply(TEXT, "")],
    ["UTF-8", frame(FINAL | TEXT, "κόσμε 你好 😀"), reply(TEXT, "κόσμε 你好 😀")],
    ["binary", frame(FINAL | BINARY, Buffer.from([0, 255, 13, 10])), reply(BINARY, Buffer.from([0, 255, 13, 10]))],
    ["125 bytes", frame(FINAL | TEXT, "x".repeat(125)), reply(TEXT, "x".repeat(125))],
    ["126 bytes", frame(FINAL | TEXT, "x".repeat(126)), reply(TEXT, "x".repeat(126))],
    ["the largest", frame(FINAL | TEXT, "x".repeat(MAX)), reply(TEXT, "x".repeat(MAX))],
    [
      "two",
      Buffer.concat([frame(FINAL | TEXT, "a"), frame(FINAL | TEXT, "b")]),
      Buffer.concat([reply(TEXT, "a"), reply(TEXT, "b")]),
    ],
    [
      "fragments, a character cut in two",
      Buffer.concat([frame(TEXT, Buffer.from([0xe4, 0xbd])), frame(0, Buffer.from([0xa0])), frame(FINAL, "!")]),
      reply(TEXT, "你!"),
    ],
    ["empty fragments", Buffer.concat([frame(BINARY, ""), frame(0, ""), frame(FINAL, "")]), reply(BINARY, "")],
    [
      "a ping between fragments, answered at once",
      Buffer.concat([frame(TEXT, "a"), frame(FINAL | PING, "now"), frame(FINAL, "b")]),
      Buffer.concat([reply(PONG, "now"), reply(TEXT, "ab")]),
    ],
    ["a ping", frame(FINAL | PING, ""), reply(PONG, "")],
    ["a ping of 125 bytes", frame(FINAL | PING, "p".repeat(125)), reply(PONG, "p".repeat(125))],
    ["a pong nobody asked for", Buffer.concat([frame(FINAL | PONG, "x"), frame(FINAL | TEXT, "a")]), reply(TEXT, "a")],
  ];
  test.each(cases)("%s", (_, bytes, expected) => {
    for (const chunk of [1, 2, 3, 7, 64, 100_000]) {
      const { sent, open } = exchange(bytes, chunk);
      expect(sent).toEqual(expected);
      expect(open).toBe(true);
    }
  });

  test("every split in two of a fragmented exchange", () => {
    const [, bytes, expected] = cases.find(([name]) => name.startsWith("a ping between"))!;
    for (let at = 1; at < bytes.length; at++) {
      const client = upgraded();
      client.feed(bytes.subarray(0, at));
      client.feed(bytes.subarray(at));
      expect(client.taken()).toEqual(expected);
    }
  });

  test("mesh.send reaches the client as text, bytes that are no text as binary", () => {
    const client = upgraded();
    client.send("hello, 世界");
    client.send(Buffer.from([0xff]));
    client.send("y".repeat(70_000));
    expect(client.taken()).toEqual(
      Buffer.concat([reply(TEXT, "hello, 世界"), reply(BINARY, Buffer.from([0xff])), reply(TEXT, "y".repeat(70_000))]),
    );
  });

  test("text that is not UTF-8 is not sent", () => {
    const client = upgraded();
    client.feed(frame(FINAL | TEXT, "bad"));
    expect(client.taken().toString()).toContain("error: protocol_encode answered a nil");
  });
});

describe("closing", () => {
  test.each([
    ["an empty close", frame(FINAL | CLOSE, ""), ""],
    ["1000 with a reason", frame(FINAL | CLOSE, closing(1000, "done")), closing(1000)],
    ["3000", frame(FINAL | CLOSE, closing(3000)), closing(3000)],
    ["4999", frame(FINAL | CLOSE, closing(4999)), closing(4999)],
    ["1012", frame(FINAL | CLOSE, closing(1012)), closing(1012)],
    ["the script's own close", frame(FINAL | TEXT, "bye"), closing(4000, "as you wish")],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code): [string, Buffer, Buffer] => [
      `${code}`,
      frame(FINAL | CLOSE, closing(code)),
      closing(1002, "invalid close code"),
    ]),
    ["a code of one byte", frame(FINAL | CLOSE, "\x03"), closing(1002, "invalid close code")],
    [
      "a reason that is not UTF-8",
      frame(FINAL | CLOSE, Buffer.concat([closing(1000), Buffer.from([0xff])])),
      closing(1007, "the reason is not UTF-8"),
    ],
  ] as [string, Buffer, Buffer | string][])("%s", (_, bytes, expected) => {
    for (const chunk of [1, 5, 1000]) {
      // What comes after the close is not looked at.
      const { sent, open } = exchange(Buffer.concat([bytes, frame(FINAL | TEXT, "late")]), chunk);
      expect(sent).toEqual(reply(CLOSE, expected));
      expect(open).toBe(false);
    }
  });
});

describe("violations", () => {
  const unmasked = reply(TEXT, "hello");
  test.each([
    [1002, "an unmasked frame", unmasked],
    [1002, "a reserved bit", frame(0xc1, "x")],
    [1002, "a reserved bit of a control frame", frame(0xa9, "x")],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [number, string, Buffer] => [
      1002,
      `opcode ${opcode}`,
      frame(FINAL | opcode, ""),
    ]),
    [1002, "a fragmented ping", frame(PING, "x")],
    [1002, "a ping of 126 bytes", frame(FINAL | PING, "p".repeat(126))],
    [1002, "a close of 126 bytes", frame(FINAL | CLOSE, closing(1000, "r".repeat(124)))],
    [1002, "a continuation of nothing", frame(FINAL, "x")],
    [1002, "a new message among fragments", Buffer.concat([frame(TEXT, "a"), frame(FINAL | TEXT, "b")])],
    [1007, "text that is not UTF-8", frame(FINAL | TEXT, Buffer.from([0xce, 0xba, 0xff]))],
    [1007, "a surrogate", frame(FINAL | TEXT, Buffer.from([0xed, 0xa0, 0x80]))],
    [1007, "an overlong form", frame(FINAL | TEXT, Buffer.from([0xc0, 0xaf]))],
    [1007, "a cut character at the end", frame(FINAL | TEXT, Buffer.from([0xe4, 0xbd]))],
    [1007, "fragments that are not UTF-8", Buffer.concat([frame(TEXT, Buffer.from([0xe4])), frame(FINAL, "x")])],
    [1009, "one byte too many", frame(FINAL | BINARY, Buffer.alloc(MAX + 1))],
    [1009, "64 bits of length", Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
    [1009, "a length beyond 32 bits", Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0])],
    [
      1009,
      "fragments that are too large together",
      Buffer.concat([frame(BINARY, Buffer.alloc(MAX)), frame(FINAL, "x")]),
    ],
  ] as [number, string, Buffer][])("%d for %s", (code, _, bytes) => {
    for (const chunk of [1, 3, 100_000]) {
      const { sent, open } = exchange(bytes, chunk);
      expect(sent[0]).toBe(FINAL | CLOSE);
      expect(sent.readUInt16BE(2)).toBe(code);
      expect(sent.length).toBe(2 + sent[1]!);
      expect(open).toBe(false);
    }
  });

  test("a large frame is refused by its header, before it has arrived", () => {
    const { sent } = exchange(frame(FINAL | BINARY, Buffer.alloc(100_000)).subarray(0, 10));
    expect(sent.readUInt16BE(2)).toBe(1009);
  });

  test("a client that goes among fragments leaves nothing behind for the next message", () => {
    const client = upgraded();
    client.feed(frame(TEXT, "half"));
    client.end();
    expect(exchange(frame(FINAL | TEXT, "whole")).sent).toEqual(reply(TEXT, "whole"));
    expect(server.complaints.filter((line) => !line.includes("protocol_encode"))).toEqual([]);
  });
});
