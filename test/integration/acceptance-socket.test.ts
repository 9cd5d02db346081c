import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

/** Lines of text; what the callbacks saw goes to the topic `seen`. */
const SCRIPT = `
function on_connect(client_id, conn)
  conn:send("id " .. client_id)
end
function protocol_input(buf, conn)
  if buf:byte(1) == 33 then return -1 end
  if buf:byte(1) == 63 then error("cannot read this") end
  if buf:byte(1) == 37 then return "many" end
  return buf:find("\\n") or 0
end
function protocol_decode(str, conn)
  if str == "\\n" then return nil end
  return str:sub(1, -2)
end
function protocol_encode(value, conn)
  if value == "refuse" then return nil end
  if value == "fail" then error("cannot write this") end
  return tostring(value) .. "\\n"
end
local operations = {}
operations["close"] = function(conn) conn:send("bye") conn:close() end
operations["wait then close"] = function(conn) mix.sleep(0.3) conn:close() end
operations["slow"] = function(conn) mix.sleep(0.3) conn:send("slow answer") end
operations["clear"] = function(conn) conn:clear_buffer() conn:send("cleared") end
operations["join"] = function(conn) conn:send(tostring(conn:subscribe("room") or "joined")) end
operations["flood"] = function(conn)
  for i = 1, 5000 do conn:send(i .. " " .. string.rep("x", 1000)) end
end
operations["refuse"] = function(conn) conn:send(tostring(conn:send("refuse") == nil)) end
operations["table"] = function(conn) mix.websocket():send("same object") end
function on_message(line, conn)
  if operations[line] then return operations[line](conn) end
  mix.queue.push("seen", { line = line })
  conn:send(line)
end
function on_close(client_id, err, conn)
  mix.queue.push("seen", { closed = client_id, err = err or mix.null })
end
`;

const WEBSOCKET = `
function on_handshake(client_id, headers, server, conn) conn:send("id " .. client_id) end
function on_message(msg, conn) conn:send(tostring(conn:subscribe("room") or "joined")) end
`;

/** A raw client that may end its own half and read on. */
class Line {
  readonly socket: Socket;
  text = "";
  ended = false;
  failed: Error | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
    });
    this.socket.on("end", () => {
      this.ended = true;
    });
    this.socket.on("error", (error) => {
      this.failed = error;
      this.ended = true;
    });
  }

  async id(): Promise<string> {
    return eventually(() => {
      const found = /^id (\d+)\n/.exec(this.text)?.[1];
      if (found === undefined) throw new Error(`no id in ${JSON.stringify(this.text)}`);
      return found;
    });
  }

  /** Everything after the id, once it is `expected`. */
  async is(expected: string): Promise<void> {
    await eventually(() => expect(this.text.replace(/^id \d+\n/, "")).toBe(expected));
  }

  async end(): Promise<void> {
    await eventually(() => expect(this.ended).toBe(true));
  }
}

/** What the script has seen of each client, by client id. */
const seen = new Map<string, { line?: string; closed?: string; err?: string | null }[]>();
let node: Connmix;
const lines: Line[] = [];

beforeAll(async () => {
  const config = freePorts(
    {},
    {
      servers: [
        { port: 0, bind: "127.0.0.1", protocol: "socket", entry: "line.lua", readBufferSize: 100_000, readTimeout: 30 },
        { port: 0, bind: "127.0.0.1", entry: "websocket.lua" },
        { port: 0, bind: "127.0.0.1", protocol: "socket", entry: "line.lua", readTimeout: 1, writeTimeout: 1 },
        { port: 0, bind: "127.0.0.1", protocol: "socket", entry: "line.lua", writeBufferSize: 200_000 },
      ],
    },
  );
  node = await Connmix.start("dev", config, { servers: 4, files: { "line.lua": SCRIPT, "websocket.lua": WEBSOCKET } });
  const backend = new WebSocket(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
  backend.onmessage = ({ data }) => {
    const { p } = JSON.parse(data);
    if (p !== undefined) seen.set(p.c, [...(seen.get(p.c) ?? []), p.d]);
  };
  backend.onopen = () => backend.send('{"m":"queue.consume","p":{"t":["seen"]}}');
});
afterAll(async () => {
  await node.stop();
});
afterEach(async () => {
  for (const line of lines.splice(0)) line.socket.destroy();
});

/** The lines on_message got from a client whose on_close has run, and what on_close got. */
async function whole(client: Line): Promise<{ lines: (string | undefined)[]; err: string | null | undefined }> {
  const id = await client.id();
  return eventually(() => {
    const all = seen.get(id) ?? [];
    const last = all.at(-1);
    if (last?.closed !== id) throw new Error(`on_close of ${id} has not run: ${JSON.stringify(all).slice(0, 300)}`);
    return { lines: all.slice(0, -1).map(({ line }) => line), err: last.err };
  });
}

async function line(server = 0): Promise<Line> {
  const client = new Line(node.serverPort(server));
  lines.push(client);
  await client.id();
  return client;
}

async function api(body: object): Promise<unknown> {
  const path = "channel" in body ? "publish" : "send";
  const response = await fetch(`http://127.0.0.1:${node.apiPort}/v1/mesh/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
  });
  return response.json();
}

describe("closing by the script", () => {
  test("what it sent before arrives, packets still in the buffer never reach on_message", async () => {
    const client = await line();
    client.socket.write("close\none\ntwo\n");
    await client.is("bye\n");
    await client.end();
    client.socket.end();
    expect(await whole(client)).toEqual({ lines: [], err: null });
  });

  test("also when it closes after a wait", async () => {
    const client = await line();
    client.socket.write("wait then close\none\ntwo\n");
    await client.end();
    client.socket.end();
    expect(await whole(client)).toEqual({ lines: [], err: null });
  });

  test("also when the client is still sending", async () => {
    const client = await line();
    client.socket.write("close\n");
    client.socket.write("x".repeat(8 << 20));
    await client.end();
    expect(client.failed).toBeUndefined();
    await client.is("bye\n");
    client.socket.end();
    expect(await whole(client)).toEqual({ lines: [], err: null });
  });

  test("a client that never ends its own half is let go all the same", async () => {
    const client = await line();
    client.socket.write("close\n");
    await client.end();
    expect(await whole(client)).toEqual({ lines: [], err: null });
  }, 20_000);

  test("also when what was sent before has to wait for the client", async () => {
    const client = await line();
    client.socket.pause();
    client.socket.write("flood\nclose\nlate\n");
    await Bun.sleep(300);
    client.socket.resume();
    await client.end();
    expect(client.text.endsWith("bye\n")).toBe(true);
    expect(client.text.match(/\n/g)?.length).toBe(5002);
    client.socket.end();
    expect(await whole(client)).toEqual({ lines: [], err: null });
  });
});

describe("a client that ends its half of the connection", () => {
  test("still gets the answer to what it asked before", async () => {
    const client = await line();
    client.socket.end("one\ntwo\n");
    await client.is("one\ntwo\n");
    await client.end();
    expect(await whole(client)).toEqual({ lines: ["one", "two"], err: null });
  });

  test("also when the answer takes its time, and there is more in the buffer", async () => {
    const client = await line();
    client.socket.end("slow\none\n");
    await client.is("slow answer\none\n");
    await client.end();
    expect(await whole(client)).toEqual({ lines: ["one"], err: null });
  });

  test("also when the answer is megabytes", async () => {
    const client = await line();
    client.socket.pause();
    client.socket.end("flood\n");
    await Bun.sleep(300);
    client.socket.resume();
    await client.end();
    expect(client.text.match(/\n/g)?.length).toBe(5001);
    expect(await whole(client)).toEqual({ lines: [], err: null });
  });

  test("in the middle of a packet: the rest is not a packet", async () => {
    const client = await line();
    client.socket.end("one\nhalf a li");
    await client.is("one\n");
    await client.end();
    expect((await whole(client)).lines).toEqual(["one"]);
  });
});

describe("on_close's err", () => {
  test("is set when the connection is reset", async () => {
    const client = await line();
    client.socket.resetAndDestroy();
    expect((await whole(client)).err).toEqual(expect.any(String));
  });

  test.each([
    ["!oops\n", "the script found a protocol error (protocol_input answered -1)"],
    ["?\n", "protocol_input failed"],
    ["%\n", "protocol_input failed"],
  ])("for %j is %j", async (bytes, reason) => {
    const client = await line();
    client.socket.write(bytes);
    await client.end();
    client.socket.end();
    expect(await whole(client)).toEqual({ lines: [], err: reason });
  });

  test("names the limit for a packet that is too large", async () => {
    const client = await line();
    client.socket.write("x".repeat(150_000));
    await client.end();
    client.socket.destroy();
    expect((await whole(client)).err).toMatch(/^\d+ bytes wait without a complete packet, more than readBufferSize$/);
    await node.line(/closed with 1009: \d+ bytes wait without a complete packet, more than readBufferSize \(100000\)/);
  });

  test("names the read time-out", async () => {
    const client = await line(2);
    await client.end();
    client.socket.destroy();
    expect((await whole(client)).err).toBe("no bytes for 1 s");
  });

  test("says too slow when nothing is taken for writeTimeout", async () => {
    const client = await line(2);
    client.socket.pause();
    const keepAlive = setInterval(() => client.socket.write("\n"), 200);
    client.socket.write("flood\nflood\nflood\n");
    expect((await whole(client)).err).toBe("too slow: try again later");
    clearInterval(keepAlive);
    await node.line(/closed as too slow: \d+ bytes waited, none taken for 1 s \(writeTimeout\)/);
  }, 20_000);

  test("says too slow when more than writeBufferSize waits", async () => {
    const client = await line(3);
    client.socket.pause();
    client.socket.write("flood\nflood\nflood\n");
    await node.line(/closed as too slow: \d+ bytes waited, more than writeBufferSize/);
    client.socket.destroy();
    expect((await whole(client)).err).toBe("too slow: try again later");
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_slow_clients_total")).toBeGreaterThan(0);
  });
});

describe("bytes on the wire", () => {
  test("packets are found however the stream is cut", async () => {
    const client = await line();
    client.socket.setNoDelay(true);
    for (const byte of "one\n\ntwo\nth") {
      client.socket.write(byte);
      await Bun.sleep(1);
    }
    client.socket.write("ree\nfour\n\nfive\n");
    await client.is("one\ntwo\nthree\nfour\nfive\n");
    client.socket.destroy();
    expect((await whole(client)).lines).toEqual(["one", "two", "three", "four", "five"]);
  });

  test("a slow reader gets megabytes intact and in order", async () => {
    const client = await line();
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
    const client = await line(3);
    client.socket.pause();
    const question = `${"q".repeat(1000)}\n`.repeat(50);
    while (!client.ended && client.socket.writable && node.lines.filter((l) => l.includes("too slow")).length < 3) {
      await new Promise<void>((resolve) => client.socket.write(question, () => resolve()));
    }
    client.socket.destroy();
    await whole(client);
  }, 30_000);

  test("clear_buffer forgets what waits", async () => {
    const client = await line();
    client.socket.write("clear\none\ntwo\n");
    await client.is("cleared\n");
    client.socket.write("three\n");
    await client.is("cleared\nthree\n");
    client.socket.destroy();
    expect((await whole(client)).lines).toEqual(["three"]);
  });

  test("mix.websocket() and mix.socket.tcp() are the connection as well", async () => {
    const client = await line();
    client.socket.write("table\n");
    await client.is("same object\n");
  });
});

describe("by the mesh", () => {
  test("mesh.send passes protocol_encode, and what it refuses is 401 with the reason", async () => {
    const client = await line();
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
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_send_errors_total", 'protocol="socket"')).toBe(2);
  });

  test("a channel of socket and websocket clients: each gets it in its own way, failures are counted", async () => {
    const client = await line();
    client.socket.write("join\n");
    await client.is("joined\n");
    const web = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(1)}`);
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
  const client = await line();
  client.socket.write("refuse\nnext\n");
  await client.is("false\nnext\n");
});

test("packets that were read are counted", async () => {
  const read = async () =>
    metric(await scrape(node.apiPort), "connmix_engine_servers_read_messages_total", 'protocol="socket"');
  const before = await read();
  const client = await line();
  client.socket.write("one\ntwo\nthr");
  await client.is("one\ntwo\n");
  expect(await read()).toBe(before + 2);
});

test("nothing of all this was left behind or uncaught", async () => {
  await eventually(async () => {
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_clients")).toBe(0);
  });
  expect(node.lines.filter((text) => text.includes("uncaught"))).toEqual([]);
});

test("a drain runs on_close for socket clients, sends what it sends, and ends in time", async () => {
  const script = `${SCRIPT}
function on_close(client_id, err, conn) conn:send("farewell") end`;
  const own = await Connmix.start("dev", freePorts({ protocol: "socket", entry: "line.lua" }), {
    files: { "line.lua": script },
  });
  const clients = [0, 1, 2].map(() => new Line(own.serverPort()));
  lines.push(...clients);
  for (const client of clients) await client.id();
  const stopped = own.stop();
  for (const client of clients) {
    await client.is("farewell\n");
    await client.end();
    client.socket.end();
  }
  expect(await stopped).toBe(0);
});
