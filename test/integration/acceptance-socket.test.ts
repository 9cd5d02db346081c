import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { LineNode } from "../support/line-node.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const WEBSOCKET = `
function on_handshake(client_id, headers, server, conn) conn:send("id " .. client_id) end
function on_message(msg, conn) conn:send(tostring(conn:subscribe("room") or "joined")) end
`;

let server: LineNode;

beforeAll(async () => {
  server = await LineNode.start(
    [{ readTimeout: 30 }, { protocol: "websocket", entry: "websocket.lua" }, { writeBufferSize: 200_000 }],
    { "websocket.lua": WEBSOCKET },
  );
});
afterAll(() => server.stop());
afterEach(() => server.disconnect());

async function api(body: object): Promise<unknown> {
  const path = "channel" in body ? "publish" : "send";
  const response = await fetch(`http://127.0.0.1:${server.node.apiPort}/v1/mesh/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return response.json();
}

describe("bytes on the wire", () => {
  test("packets are found however the stream is cut", async () => {
    const client = await server.line();
    client.socket.setNoDelay(true);
    for (const byte of "one\n\ntwo\nth") {
      client.socket.write(byte);
      await Bun.sleep(1);
    }
    client.socket.write("ree\nfour\n\nfive\n");
    await client.is("one\ntwo\nthree\nfour\nfive\n");
    client.socket.destroy();
    expect((await server.whole(client)).lines).toEqual(["one", "two", "three", "four", "five"]);
  });

  test("a slow reader gets megabytes intact and in order", async () => {
    const client = await server.line();
    client.socket.pause();
    client.socket.write("flood\nflood\n");
    for (let round = 0; round < 20; round++) {
      await Bun.sleep(20);
      client.socket.resume();
      await Bun.sleep(1);
      client.socket.pause();
    }
    client.socket.resume();
    await eventually(() => expect(client.text.match(/\n/g)?.length).toBe(10_001));
    const got = client.text.split("\n").slice(1, -1);
    got.forEach((text, index) => {
      expect(text).toBe(`${(index % 5000) + 1} ${"x".repeat(1000)}`);
    });
  });

  test("a client that asks without end and reads nothing is not answered without end", async () => {
    const client = await server.line(2);
    client.socket.pause();
    const question = `${"q".repeat(1000)}\n`.repeat(50);
    while (
      !client.ended &&
      client.socket.writable &&
      server.node.lines.filter((l) => l.includes("too slow")).length < 3
    ) {
      await new Promise<void>((resolve) => client.socket.write(question, () => resolve()));
    }
    client.socket.destroy();
    await server.whole(client);
  }, 30_000);

  test("clear_buffer forgets what waits", async () => {
    const client = await server.line();
    client.socket.write("clear\none\ntwo\n");
    await client.is("cleared\n");
    client.socket.write("three\n");
    await client.is("cleared\nthree\n");
    client.socket.destroy();
    expect((await server.whole(client)).lines).toEqual(["three"]);
  });

  test("mix.websocket() and mix.socket.tcp() are the connection as well", async () => {
    const client = await server.line();
    client.socket.write("table\n");
    await client.is("same object\n");
  });
});

describe("by the mesh", () => {
  test("mesh.send passes protocol_encode, and what it refuses is 401 with the reason", async () => {
    const client = await server.line();
    const client_id = await client.id();
    expect(await api({ client_id, data: "hello" })).toEqual({
      error: null,
      result: { success: true, fail: 0, total: 1 },
    });
    await client.is("hello\n");
    expect(await api({ client_id, data: "refuse" })).toEqual({
      error: { code: 401, message: "protocol_encode answered a nil, expected a string" },
    });
    expect(await api({ client_id, data: "fail" })).toEqual({
      error: {
        code: 401,
        message: expect.stringMatching(/^protocol_encode failed: \S*line\.lua:\d+: cannot write this/),
      },
    });
    await client.is("hello\n");
    expect(
      metric(await scrape(server.node.apiPort), "connmix_engine_servers_send_errors_total", 'protocol="socket"'),
    ).toBe(2);
  });

  test("a channel of socket and websocket clients: each gets it in its own way, failures are counted", async () => {
    const client = await server.line();
    client.socket.write("join\n");
    await client.is("joined\n");
    const web = await TestSocket.connect(`ws://127.0.0.1:${server.node.serverPort(1)}`);
    expect(await web.text()).toMatch(/^id \d+$/);
    web.send("join");
    expect(await web.text()).toBe("joined");
    const published = (fail: number) => ({ error: null, result: { success: true, fail, total: 2 } });
    expect(await api({ channel: "room", data: "to all" })).toEqual(published(0));
    expect(await web.text()).toBe("to all");
    await client.is("joined\nto all\n");
    expect(await api({ channel: "room", data: "refuse" })).toEqual(published(1));
    expect(await web.text()).toBe("refuse");
    expect(await api({ channel: "room", data: "AQL/", type: "binary" })).toEqual(published(0));
    expect(await web.next()).toEqual(Buffer.from([1, 2, 255]));
    web.close();
  });
});

test("an encode that fails is told to the script, and the connection goes on", async () => {
  const client = await server.line();
  client.socket.write("refuse\nnext\n");
  await client.is("false\nnext\n");
});

test("packets that were read are counted", async () => {
  const read = async () =>
    metric(await scrape(server.node.apiPort), "connmix_engine_servers_read_messages_total", 'protocol="socket"');
  const before = await read();
  const client = await server.line();
  client.socket.write("one\ntwo\nthr");
  await client.is("one\ntwo\n");
  expect(await read()).toBe(before + 2);
});
