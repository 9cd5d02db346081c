import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const SCRIPT = `
function on_message(msg, conn)
  if msg.data == "flood" then
    for i = 1, 400 do conn:send(string.rep("x", 10000)) end
  elseif msg.data == "wait" then
    conn:wait_context_value("never", 30)
  elseif msg.data == "join" then
    conn:subscribe("room")
    conn:send("joined")
  elseif msg.data == "big then close" then
    conn:send(string.rep("y", 2000000))
    conn:close(4001, "done")
  else
    conn:send(msg.data)
  end
end
function on_close(client_id, err, conn)
  mix.queue.push("closed", { id = client_id, err = err or mix.null })
end
`;

/** A raw client: upgrades, then reads only when told to. */
async function rawClient(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    `GET / HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  await new Promise<void>((resolve) => socket.once("data", () => resolve()));
  return socket;
}

/** A masked text frame with an all-zero key, shorter than 126 bytes. */
function frame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** The last close frame's code in what a client read up to its end. */
async function closeCode(socket: Socket): Promise<number> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const all = Buffer.concat(chunks);
  const at = all.lastIndexOf(0x88);
  return all.readUInt16BE(at + 2);
}

describe("limits of a websocket server", () => {
  let node: Connmix;
  beforeAll(async () => {
    node = await Connmix.start(
      "dev",
      freePorts({ entry: "limits.lua", readBufferSize: 100_000, writeBufferSize: 300_000, maxConnections: 20 }),
      { files: { "limits.lua": SCRIPT } },
    );
  });
  afterAll(async () => {
    await node.stop();
  });
  const url = () => `ws://127.0.0.1:${node.serverPort()}`;

  test("a message larger than readBufferSize closes with 1009, is logged and counted", async () => {
    const client = await TestSocket.connect(url());
    client.send("x".repeat(100_001));
    expect((await client.closed).code).toBe(1009);
    await node.line(/closed with 1009: a message larger than readBufferSize \(100000 bytes\)/);
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_too_large_total")).toBe(1);
  });

  test("the header of a 100 MB frame is enough to be closed with 1009", async () => {
    const socket = await rawClient(node.serverPort());
    const header = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x05, 0xf5, 0xe1, 0, 0, 0, 0, 0]);
    socket.write(header);
    expect(await closeCode(socket)).toBe(1009);
  });

  test("a client that does not read is closed with 1013, with the waiting bytes in the log and a count", async () => {
    const socket = await rawClient(node.serverPort());
    socket.pause();
    // Loopback sockets hold some megabytes themselves.
    for (let i = 0; i < 5; i++) socket.write(frame("flood"));
    await node.line(/closed as too slow: \d+ bytes waited, more than writeBufferSize/);
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_slow_clients_total")).toBe(1);
    expect(await closeCode(socket)).toBe(1013);
  });

  test("a subscriber that does not read is closed as too slow; the others get every publish", async () => {
    const slow = await rawClient(node.serverPort());
    slow.write(frame("join"));
    await new Promise<void>((resolve) => slow.once("data", () => resolve()));
    slow.pause();
    const fast = await TestSocket.connect(url());
    fast.send("join");
    expect(await fast.text()).toBe("joined");
    const backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    const before = metric(await scrape(node.apiPort), "connmix_engine_servers_slow_clients_total");
    let published = 0;
    const data = "z".repeat(50_000);
    while (metric(await scrape(node.apiPort), "connmix_engine_servers_slow_clients_total") === before) {
      for (let i = 0; i < 10; i++) {
        backend.sendJson({ method: "mesh.publish", params: [{ channel: "room", data }], id: ++published });
        expect((await backend.json()).result.success).toBe(true);
      }
      expect(published).toBeLessThan(1000);
    }
    for (let i = 0; i < published; i++) expect((await fast.text()).length).toBe(50_000);
    slow.destroy();
    fast.close();
    backend.close();
    await Promise.all([fast.closed, backend.closed]);
  });

  test("what was sent before a close arrives before it, however much it is", async () => {
    const client = await TestSocket.connect(url());
    // Larger than writeBufferSize would be cut; this one fits the kernel and the bound together.
    client.send("big then close");
    const message = await client.text();
    expect(message.length).toBe(2_000_000);
    expect(await client.closed).toEqual({ code: 4001, reason: "done" });
  });

  test("a mailbox that overflows while a callback waits closes with 1008 and is counted", async () => {
    const client = await TestSocket.connect(url());
    client.send("wait");
    for (let i = 0; i < 5000; i++) client.send(`message ${i}`);
    expect((await client.closed).code).toBe(1008);
    expect(metric(await scrape(node.apiPort), "connmix_engine_lua_mailbox_overflows_total")).toBe(1);
  });

  test("beyond maxConnections a client is turned away with 1013 and counted", async () => {
    const clients: TestSocket[] = [];
    await eventually(async () => {
      expect(metric(await scrape(node.apiPort), "connmix_engine_servers_clients")).toBe(0);
    });
    for (let i = 0; i < 20; i++) clients.push(await TestSocket.connect(url()));
    const refused = await TestSocket.connect(url());
    expect((await refused.closed).code).toBe(1013);
    await node.line(/turned away with 1013: 20 connections are open \(maxConnections\)/);
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_refused_total")).toBe(1);
    for (const client of clients) client.close();
    await Promise.all(clients.map((client) => client.closed));
  });
});

test("a request that is no upgrade, or to a wrong path, is answered in words", async () => {
  const node = await Connmix.start("dev", freePorts({ entry: "limits.lua", path: "/chat" }), {
    files: { "limits.lua": SCRIPT },
  });
  try {
    const base = `http://127.0.0.1:${node.serverPort()}`;
    const elsewhere = await fetch(`${base}/other`);
    expect([elsewhere.status, await elsewhere.text()]).toEqual([404, "nothing is served at /other, expected /chat\n"]);
    const plain = await fetch(`${base}/chat`);
    expect([plain.status, await plain.text()]).toEqual([426, "this port speaks WebSocket only: connect with ws://\n"]);
    await expect(TestSocket.connect(`${base.replace("http", "ws")}/other`)).rejects.toThrow("cannot connect");
    const client = await TestSocket.connect(`${base.replace("http", "ws")}/chat?room=1`);
    client.send("hello");
    expect(await client.text()).toBe("hello");
    client.close();
  } finally {
    await node.stop();
  }
});

test("ten thousand connects and disconnects leave nothing behind", async () => {
  const node = await Connmix.start("dev", freePorts({ entry: "limits.lua" }), { files: { "limits.lua": SCRIPT } });
  try {
    const url = `ws://127.0.0.1:${node.serverPort()}`;
    const round = async (count: number) => {
      for (let done = 0; done < count; done += 100) {
        await Promise.all(
          Array.from({ length: 100 }, async (_, i) => {
            const client = await TestSocket.connect(url);
            client.send("join");
            await client.text();
            if (i % 2 === 0) client.close();
            else client.terminate();
            await client.closed;
          }),
        );
      }
    };
    const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.pid}/status`, "utf8"))?.[1]);
    await round(2000);
    const before = memory();
    await round(8000);
    await eventually(async () => {
      const text = await scrape(node.apiPort);
      expect(metric(text, "connmix_engine_servers_clients")).toBe(0);
      expect(metric(text, "connmix_engine_channels")).toBe(0);
    });
    // Kilobytes. 8,000 connections kept would be far above this.
    expect(memory() - before).toBeLessThan(30_000);
  } finally {
    await node.stop();
  }
}, 120_000);
