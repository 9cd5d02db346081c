import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { LINES, Line, LineNode } from "../support/line-node.ts";
import { metric, scrape } from "../support/metrics.ts";

let server: LineNode;

beforeAll(async () => {
  server = await LineNode.start([
    { readBufferSize: 100_000, readTimeout: 30 },
    { readTimeout: 1, writeTimeout: 1 },
    { writeBufferSize: 200_000 },
  ]);
});
afterAll(() => server.stop());
afterEach(() => server.disconnect());

describe("closing by the script", () => {
  test("what it sent before arrives, packets still in the buffer never reach on_message", async () => {
    const client = await server.line();
    client.socket.write("close\none\ntwo\n");
    await client.is("bye\n");
    await client.end();
    client.socket.end();
    expect(await server.whole(client)).toEqual({ lines: [], err: null });
  });

  test("also when it closes after a wait", async () => {
    const client = await server.line();
    client.socket.write("wait then close\none\ntwo\n");
    await client.end();
    client.socket.end();
    expect(await server.whole(client)).toEqual({ lines: [], err: null });
  });

  test("also when the client is still sending", async () => {
    const client = await server.line();
    client.socket.write("close\n");
    client.socket.write("x".repeat(8 << 20));
    await client.end();
    expect(client.failed).toBeUndefined();
    await client.is("bye\n");
    client.socket.end();
    expect(await server.whole(client)).toEqual({ lines: [], err: null });
  });

  test("a client that never ends its own half is let go all the same", async () => {
    const client = await server.line();
    client.socket.write("close\n");
    await client.end();
    expect(await server.whole(client)).toEqual({ lines: [], err: null });
  }, 20_000);

  test("also when what was sent before has to wait for the client", async () => {
    const client = await server.line();
    client.socket.pause();
    client.socket.write("flood\nclose\nlate\n");
    await Bun.sleep(300);
    client.socket.resume();
    await client.end();
    expect(client.text.endsWith("bye\n")).toBe(true);
    expect(client.text.match(/\n/g)?.length).toBe(5002);
    client.socket.end();
    expect(await server.whole(client)).toEqual({ lines: [], err: null });
  });
});

describe("a client that ends its half of the connection", () => {
  test("still gets the answer to what it asked before", async () => {
    const client = await server.line();
    client.socket.end("one\ntwo\n");
    await client.is("one\ntwo\n");
    await client.end();
    expect(await server.whole(client)).toEqual({ lines: ["one", "two"], err: null });
  });

  test("also when the answer takes its time, and there is more in the buffer", async () => {
    const client = await server.line();
    client.socket.end("slow\none\n");
    await client.is("slow answer\none\n");
    await client.end();
    expect(await server.whole(client)).toEqual({ lines: ["one"], err: null });
  });

  test("also when the answer is megabytes", async () => {
    const client = await server.line();
    client.socket.pause();
    client.socket.end("flood\n");
    await Bun.sleep(300);
    client.socket.resume();
    await client.end();
    expect(client.text.match(/\n/g)?.length).toBe(5001);
    expect(await server.whole(client)).toEqual({ lines: [], err: null });
  });

  test("in the middle of a packet: the rest is not a packet", async () => {
    const client = await server.line();
    client.socket.end("one\nhalf a li");
    await client.is("one\n");
    await client.end();
    expect((await server.whole(client)).lines).toEqual(["one"]);
  });
});

describe("on_close's err", () => {
  test("is set when the connection is reset", async () => {
    const client = await server.line();
    client.socket.resetAndDestroy();
    expect((await server.whole(client)).err).toEqual(expect.any(String));
  });

  test.each([
    ["!oops\n", "the script found a protocol error (protocol_input answered -1)"],
    ["?\n", "protocol_input failed"],
    ["%\n", "protocol_input failed"],
  ])("for %j is %j", async (bytes, reason) => {
    const client = await server.line();
    client.socket.write(bytes);
    await client.end();
    client.socket.end();
    expect(await server.whole(client)).toEqual({ lines: [], err: reason });
  });

  test("names the limit for a packet that is too large", async () => {
    const client = await server.line();
    client.socket.write("x".repeat(150_000));
    await client.end();
    client.socket.destroy();
    expect((await server.whole(client)).err).toMatch(
      /^\d+ bytes wait without a complete packet, more than readBufferSize$/,
    );
    await server.node.line(
      /closed with 1009: \d+ bytes wait without a complete packet, more than readBufferSize \(100000\)/,
    );
  });

  test("names the length of a packet that can never be whole, at once", async () => {
    const refused = async () => metric(await scrape(server.node.apiPort), "connmix_engine_servers_too_large_total");
    const before = await refused();
    const client = await server.line();
    client.socket.write("&");
    await client.end();
    client.socket.end();
    expect((await server.whole(client)).err).toBe("a packet of 1e+300 bytes, more than readBufferSize");
    await server.node.line(/closed with 1009: a packet of 1e\+300 bytes, more than readBufferSize \(100000\)/);
    expect(await refused()).toBe(before + 1);
  });

  test("names the read time-out", async () => {
    const client = await server.line(1);
    await client.end();
    client.socket.destroy();
    expect((await server.whole(client)).err).toBe("no bytes for 1 s");
  });

  test("says too slow when nothing is taken for writeTimeout", async () => {
    const client = await server.line(1);
    client.socket.pause();
    const keepAlive = setInterval(() => client.socket.write("\n"), 200);
    client.socket.write("flood\nflood\nflood\n");
    expect((await server.whole(client)).err).toBe("too slow: try again later");
    clearInterval(keepAlive);
    await server.node.line(/closed as too slow: \d+ bytes waited, none taken for 1 s \(writeTimeout\)/);
  }, 20_000);

  test("says too slow when more than writeBufferSize waits", async () => {
    const client = await server.line(2);
    client.socket.pause();
    client.socket.write("flood\nflood\nflood\n");
    await server.node.line(/closed as too slow: \d+ bytes waited, more than writeBufferSize/);
    client.socket.destroy();
    expect((await server.whole(client)).err).toBe("too slow: try again later");
    expect(metric(await scrape(server.node.apiPort), "connmix_engine_servers_slow_clients_total")).toBeGreaterThan(0);
  });
});

test("nothing of all this was left behind or uncaught", async () => {
  await eventually(async () => {
    expect(metric(await scrape(server.node.apiPort), "connmix_engine_servers_clients")).toBe(0);
  });
  expect(server.node.lines.filter((text) => text.includes("uncaught"))).toEqual([]);
});

test("a drain runs on_close for socket clients, sends what it sends, and ends in time", async () => {
  const script = `${LINES}
function on_close(client_id, err, conn) conn:send("farewell") end`;
  const own = await Connmix.start("dev", freePorts({ protocol: "socket", entry: "line.lua" }), {
    files: { "line.lua": script },
  });
  const clients = [0, 1, 2].map(() => new Line(own.serverPort()));
  for (const client of clients) await client.id();
  const stopped = own.stop();
  for (const client of clients) {
    await client.is("farewell\n");
    await client.end();
    client.socket.end();
  }
  expect(await stopped).toBe(0);
});
