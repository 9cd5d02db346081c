import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const WALK = { entry: resolve(import.meta.dir, "../../lua/entry.lua") };

test("dev prints the banner, the version and the steps in their order", async () => {
  const node = await Connmix.start("dev", freePorts(WALK));
  try {
    const output = node.lines.join("\n");
    expect(output).toMatch(/connmix 1\.0\.0, bun \d+\.\d+\.\d+, lua5\.3\+bit, linux, \w+/);
    const steps = [
      /start the registry server \(127\.0\.0\.1:\d+\)$/,
      /start the mesh node \(127\.0\.0\.1:\d+\)$/,
      /start the api server \(127\.0\.0\.1:\d+\)$/,
      /center registry 127\.0\.0\.1:\d+ connect successful$/,
      /register engine node_id [0-9a-z]{10}$/,
      /register node \S+ node_id [0-9a-z]{10}$/,
      /start the protocol server \S+entry\.lua \(127\.0\.0\.1:\d+\)$/,
    ];
    const at = steps.map((step) => node.lines.findIndex((line) => step.test(line)));
    expect(at).not.toContain(-1);
    expect(at).toEqual(at.toSorted((a, b) => a - b));
    const logged = node.lines.filter((line) => /start the|register/.test(line));
    for (const line of logged) {
      expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\s+INFO\s+[\w/-]+\.ts:\d+\s+\S/);
    }
  } finally {
    expect(await node.stop()).toBe(0);
  }
});

test("what a client sends is consumed, also when it was sent first, and answered by its client_id", async () => {
  const node = await Connmix.start("dev", freePorts(WALK));
  try {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`, { "User-Agent": "walk-through" });
    client.send("test");
    const backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    backend.send('{"method":"queue.consume","params":["foo"],"id":12345}');
    expect(await backend.text()).toBe('{"error":null,"result":{"success":true},"id":12345}');
    const first = await backend.json();
    expect(first.event).toBe("queue.consume");
    expect(first.id).toBeNull();
    expect(first.result.queue).toBe("foo");
    expect(first.result.data.msg).toEqual({ data: "test", finish: true, type: "text" });
    expect(first.result.data.ctx.headers["user-agent"]).toBe("walk-through");
    expect(first.result.client_id).toMatch(/^\d+$/);

    const { client_id } = first.result;
    backend.sendJson({ method: "mesh.send", params: [{ client_id, data: "hello, world!" }], id: 12345 });
    expect(await client.text()).toBe("hello, world!");
    expect(await backend.text()).toBe('{"error":null,"result":{"fail":0,"success":true,"total":1},"id":12345}');

    client.send("again");
    expect((await backend.json()).result.data.msg.data).toBe("again");

    client.close();
    await client.closed;
    backend.sendJson({ method: "mesh.send", params: [{ client_id, data: "too late" }], id: 1 });
    const gone = await backend.json();
    expect(gone.error.code).toBe(401);
    expect(gone.error.message).toContain(client_id);
  } finally {
    expect(await node.stop()).toBe(0);
  }
});

test("a client that sends no bytes is closed after readTimeout, and its pings count as bytes", async () => {
  const node = await Connmix.start("dev", freePorts({ ...WALK, readTimeout: 1 }));
  try {
    const url = `ws://127.0.0.1:${node.serverPort()}`;
    const started = performance.now();
    const silent = await TestSocket.connect(url);
    const pinging = await TestSocket.connect(url);
    const timer = setInterval(() => pinging.ping(), 200);
    const { code } = await silent.closed;
    expect(code).toBe(1000);
    expect(performance.now() - started).toBeGreaterThanOrEqual(1000);
    expect(performance.now() - started).toBeLessThan(5000);
    await Bun.sleep(1500);
    const stillOpen = await Promise.race([pinging.closed.then(() => false), Bun.sleep(10).then(() => true)]);
    expect(stillOpen).toBe(true);
    clearInterval(timer);
    await pinging.closed;
  } finally {
    await node.stop();
  }
});

test("with no configuration file, from any folder, the built-in script serves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "connmix-anywhere-"));
  const main = resolve(import.meta.dir, "../../src/main.ts");
  const check = Bun.spawnSync([process.execPath, main, "check"], { cwd: folder });
  expect(check.exitCode).toBe(0);
  expect(check.stdout.toString() + check.stderr.toString()).toContain("entry.lua");
});

test("a client cannot fill the log when nobody consumes", async () => {
  const node = await Connmix.start("dev", freePorts(WALK, { luavm: { queue: { topicSize: 2 } } }));
  try {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    for (let n = 0; n < 500; n++) client.send(`${n}`);
    await eventually(async () => {
      expect(metric(await scrape(node.apiPort), "connmix_engine_queue_rejected_total")).toBe(498);
    });
    const complaints = node.lines.filter((line) => line.includes("cannot push to foo"));
    expect(complaints.length).toBeLessThan(5);
    expect(complaints[0]).toContain('topic "foo" is full: 2 messages wait');
  } finally {
    await node.stop();
  }
});
