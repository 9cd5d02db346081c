import { afterEach, expect, test } from "bun:test";
import type { MeshOptions } from "../../src/mesh/mesh.ts";
import { until } from "../support/eventually.ts";
import { cluster, MeshEngine } from "../support/mesh-engine.ts";

const running: MeshEngine[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ mesh }) => mesh.stop()));
});

async function start(options: Partial<MeshOptions> = {}): Promise<MeshEngine> {
  const engine = await MeshEngine.start(options);
  running.push(engine);
  return engine;
}

test("one engine alone answers at once", async () => {
  const engine = await start();
  const client = engine.connect("news");
  expect(engine.mesh.send(client.id, "hello")).toBeUndefined();
  expect(engine.mesh.publish("news", "all")).toEqual({ total: 1, fail: 0 });
  expect(engine.mesh.call(client.id, "channels", [])).toEqual({ value: ["news"] });
  expect(client.got).toEqual(["hello", "all"]);
  expect(engine.mesh.send(engine.ids.next(), "nobody")).toContain("no client");
  expect(engine.log.has(`info start the mesh node (127.0.0.1:${engine.record.meshPort})`)).toBe(true);
});

test("an id of a number that no member has is no engine's client", async () => {
  const engine = await start();
  const stranger = 4000 * 2 ** 41 + 1;
  expect(engine.mesh.send(stranger, "x")).toBe(`no engine holds client ${stranger}`);
  expect(engine.mesh.call(stranger, "context", [])).toEqual({ error: `no engine holds client ${stranger}` });
});

test("a port in use is told as such", async () => {
  const engine = await start();
  const { meshPort } = engine.record;
  await expect(MeshEngine.start({ port: meshPort })).rejects.toThrow(
    `the mesh port ${meshPort} on 127.0.0.1 is in use`,
  );
});

test("send, text and binary, reaches a client of the other engine either way", async () => {
  const [a, b] = [await start(), await start()];
  await cluster(a, b);
  const [atA, atB] = [a.connect(), b.connect()];
  expect(await a.mesh.send(atB.id, "grüße 😀")).toBeUndefined();
  expect(await b.mesh.send(atA.id, new Uint8Array([0, 255, 1]))).toBeUndefined();
  expect(await a.mesh.send(atB.id, "")).toBeUndefined();
  expect(atB.got).toEqual(["grüße 😀", ""]);
  expect(atA.got).toEqual([new Uint8Array([0, 255, 1])]);
  expect(await a.mesh.send(b.ids.next(), "nobody")).toContain("it has disconnected or never was");
  atB.refusal = "the client does not read";
  expect(await a.mesh.send(atB.id, "x")).toBe("the client does not read");
});

test("a send is announced with when it began: once written here, or once answered by the other engine", async () => {
  const [a, b] = [await start(), await start()];
  await cluster(a, b);
  const [atA, atB] = [a.connect(), b.connect()];
  const sent: [number, number][] = [];
  const forwarded: number[] = [];
  a.mesh.onSent = ({ id }, started) => sent.push([id, started]);
  a.mesh.onForwarded = (started) => forwarded.push(started);
  b.mesh.onSent = ({ id }, started) => sent.push([id, started]);
  const before = performance.now();
  a.mesh.send(atA.id, "here");
  const answered = Promise.all([a.mesh.send(atB.id, "there"), a.mesh.send(b.ids.next(), "nobody")]);
  expect(forwarded).toEqual([]);
  const asked = performance.now();
  await answered;
  expect(sent.map(([id]) => id)).toEqual([atA.id]);
  expect(forwarded).toHaveLength(2);
  for (const started of [sent[0]![1], ...forwarded]) {
    expect(started).toBeGreaterThanOrEqual(before - 0.001);
    expect(started).toBeLessThanOrEqual(asked + 0.001);
  }
});

test("a call runs at the client's engine and brings back value or error", async () => {
  const [a, b] = [await start(), await start()];
  await cluster(a, b);
  const client = b.connect();
  expect(await a.mesh.call(client.id, "set_context_value", ["user", { id: 7, name: "ü" }])).toEqual({});
  expect(await a.mesh.call(client.id, "context", [])).toEqual({ value: { user: { id: 7, name: "ü" } } });
  expect(await a.mesh.call(client.id, "fly", [])).toEqual({
    error: expect.stringContaining('no function "fly"'),
  });
});

test("publish counts subscribers of all engines exactly, failures included", async () => {
  const engines = [await start(), await start(), await start()];
  await cluster(...engines);
  const [a, b, c] = engines as [MeshEngine, MeshEngine, MeshEngine];
  const clients = [a.connect("news"), b.connect("news"), b.connect("news"), c.connect("news"), c.connect("other")];
  await until(() => a.peer(b).framesIn > 0);
  clients[2]!.refusal = "full";
  // Interest travels on its own; a call answered by an engine is behind what that engine said before.
  await Promise.all([a.mesh.call(clients[1]!.id, "channels", []), a.mesh.call(clients[3]!.id, "channels", [])]);
  expect(await a.mesh.publish("news", "one")).toEqual({ total: 4, fail: 1 });
  expect(await a.mesh.publish("news", new Uint8Array([7]))).toEqual({ total: 4, fail: 1 });
  expect(a.mesh.publish("nobody", "x")).toEqual({ total: 0, fail: 0 });
  expect(clients.map(({ got }) => got.length)).toEqual([2, 2, 0, 2, 0]);
  expect(clients[3]!.got).toEqual(["one", new Uint8Array([7])]);
});

test("an engine without subscribers receives no frame for a publish", async () => {
  const engines = [await start(), await start(), await start()];
  const [a, b, c] = engines as [MeshEngine, MeshEngine, MeshEngine];
  const subscriber = b.connect("news");
  await cluster(...engines);
  const before = a.peer(c).publishesForwarded;
  for (let n = 0; n < 100; n++) expect(await a.mesh.publish("news", `${n}`)).toEqual({ total: 1, fail: 0 });
  expect(subscriber.got).toHaveLength(100);
  expect(a.peer(b).publishesForwarded).toBe(100);
  expect(a.peer(c).publishesForwarded).toBe(before);
  // Pings and their answers at most.
  expect(c.peer(a).framesIn).toBeLessThan(20);
  b.hub.unsubscribe(subscriber, "news");
  await a.mesh.call(subscriber.id, "channels", []);
  expect(a.mesh.publish("news", "again")).toEqual({ total: 0, fail: 0 });
});

test("a publish right after subscribe returned is seen by the subscriber", async () => {
  const [a, b] = [await start(), await start()];
  await cluster(a, b);
  for (let n = 0; n < 50; n++) {
    const client = b.connect();
    expect(await a.mesh.call(client.id, "subscribe", [`room${n}`])).toEqual({});
    expect(await a.mesh.publish(`room${n}`, "welcome")).toEqual({ total: 1, fail: 0 });
    expect(client.got).toEqual(["welcome"]);
  }
});

test("order from one publisher to one subscriber holds, with sends in between", async () => {
  const [a, b] = [await start(), await start()];
  const client = b.connect("news");
  await cluster(a, b);
  const results = [];
  for (let n = 0; n < 5000; n++) {
    results.push(n % 2 === 0 ? a.mesh.publish("news", `${n}`) : a.mesh.send(client.id, `${n}`));
  }
  await Promise.all(results);
  expect(client.got).toEqual(Array.from({ length: 5000 }, (_, n) => `${n}`));
});

test("large messages go through, and those beyond the frame limit fail with the limit named", async () => {
  const limits = { maxFrame: 3_000_000, maxWaiting: 6_000_000 };
  const [a, b] = [await start({ limits }), await start({ limits })];
  await cluster(a, b);
  const client = b.connect("big");
  const text = "ü".repeat(1_400_000);
  expect(await a.mesh.send(client.id, text)).toBeUndefined();
  expect(client.got[0] === text).toBe(true);
  expect(await a.mesh.send(client.id, "ü".repeat(1_600_000))).toContain("larger than 3000000 bytes");
  // Nothing waits for the peer: it is not to blame.
  expect(await a.mesh.send(client.id, "x".repeat(7_000_000))).toContain("larger than 3000000 bytes");
  expect(await a.mesh.publish("big", new Uint8Array(3_000_001))).toEqual({ total: 1, fail: 1 });
  expect(a.log.lines.join("\n")).toMatch(/warn engine \w+ .*: the message is larger than 3000000 bytes/);
  expect(a.log.lines.join("\n")).not.toContain("does not keep up");
  expect(a.mesh.push(0, "topic", JSON.stringify("x".repeat(3_000_000)))).toEqual({
    error: expect.stringContaining("a queued message has at most"),
  });
  expect(await a.mesh.send(client.id, "after")).toBeUndefined();
});

test("a renumbered engine is reached under its new number only", async () => {
  const [a, b] = [await start(), await start()];
  await cluster(a, b);
  const old = b.connect();
  const record = { ...b.record, number: 3000 };
  b.mesh.renumber(record);
  b.ids.renumber(3000);
  a.mesh.setMembers([a.record, record]);
  const client = b.connect();
  expect(await a.mesh.send(client.id, "hello")).toBeUndefined();
  expect(b.mesh.send(client.id, "here")).toBeUndefined();
  expect(client.got).toEqual(["hello", "here"]);
  expect(a.mesh.send(old.id, "x")).toBe(`no engine holds client ${old.id}`);
  expect(a.peer(b).links).toBe(1);
});

test("of two that claim one number the one that started first has its clients", async () => {
  const [a, b, c] = [await start(), await start(), await start()];
  c.mesh.start({ ...c.record, number: b.number });
  a.mesh.setMembers([{ ...c.record, number: b.number }, a.record, b.record]);
  b.mesh.setMembers([a.record, b.record]);
  await until(() => a.peer(b).up);
  const client = b.connect();
  expect(await a.mesh.send(client.id, "hello")).toBeUndefined();
  expect(client.got).toEqual(["hello"]);
});
