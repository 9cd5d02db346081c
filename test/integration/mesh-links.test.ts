import { afterEach, expect, test } from "bun:test";
import type { MeshLimits } from "../../src/mesh/mesh.ts";
import { until } from "../support/eventually.ts";
import { cluster, MeshEngine } from "../support/mesh-engine.ts";
import { MeshProxy } from "../support/mesh-proxy.ts";

const running: { stop(): unknown }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((part) => part.stop()));
});

const QUICK: Partial<MeshLimits> = { heartbeat: 100, deadAfter: 400, handshake: 500, requestTimeout: 300 };

async function start(limits: Partial<MeshLimits> = QUICK): Promise<MeshEngine> {
  const engine = await MeshEngine.start({ limits });
  running.push(engine.mesh);
  return engine;
}

/** Engines of which the first reaches the second through a proxy. */
async function linkedByProxy(limits: Partial<MeshLimits> = QUICK) {
  const [a, b] = [await start(limits), await start(limits)];
  const { proxy, record } = MeshProxy.before(b.record);
  running.push(proxy);
  b.record = record;
  await cluster(a, b);
  return { a, b, proxy };
}

const bothUp = (a: MeshEngine, b: MeshEngine) => () => a.peer(b).up && b.peer(a).up;

test("an idle link stays up and measures its round trip", async () => {
  const { a, b } = await linkedByProxy();
  await Bun.sleep(1000);
  expect(a.peer(b)).toMatchObject({ up: true, links: 1 });
  expect(a.peer(b).rtt).toBeGreaterThan(0);
  expect(a.peer(b).rtt).toBeLessThan(200);
});

test("a cut link is noticed at once, what waits for an answer fails at once, and the link comes back", async () => {
  const { a, b, proxy } = await linkedByProxy({ ...QUICK, deadAfter: 60_000, requestTimeout: 60_000 });
  const client = b.connect("news");
  await a.mesh.call(client.id, "channels", []);
  proxy.hold("backward");
  const send = a.mesh.send(client.id, "x");
  const publish = a.mesh.publish("news", "x");
  proxy.cut();
  expect(await send).toContain(`lost the link with engine ${b.id}`);
  expect(await publish).toEqual({ total: 1, fail: 1 });
  expect(await a.mesh.send(client.id, "y")).toContain("cannot be reached");
  // A subscriber that is known of but cannot be reached is a failure, not nobody.
  expect(await a.mesh.publish("news", "y")).toEqual({ total: 1, fail: 1 });
  proxy.release();
  await until(bothUp(a, b));
  expect(await a.mesh.send(client.id, "z")).toBeUndefined();
  expect(a.peer(b).requestsFailed).toBe(4);
});

for (const held of [["forward"], ["backward"], ["forward", "backward"]] as const) {
  test(`a link on which nothing passes ${held.join(" and ")} is given up in time, and comes back`, async () => {
    const { a, b, proxy } = await linkedByProxy();
    proxy.hold(...held);
    await until(() => !a.peer(b).up && !b.peer(a).up);
    const reason = "nothing heard for";
    expect(a.log.has(reason) || b.log.has(reason)).toBe(true);
    proxy.cut();
    proxy.release();
    await until(bothUp(a, b));
    expect(await a.mesh.send(b.connect().id, "x")).toBeUndefined();
  });
}

test("interest that changed while the link was cut is right when it is back", async () => {
  const { a, b, proxy } = await linkedByProxy();
  const leaver = b.connect("old", "kept");
  await a.mesh.call(leaver.id, "channels", []);
  proxy.cut(true);
  await until(() => !a.peer(b).up && !b.peer(a).up);
  b.hub.unsubscribe(leaver, "old");
  b.connect("new");
  proxy.accept();
  await until(bothUp(a, b));
  expect(a.mesh.publish("old", "x")).toEqual({ total: 0, fail: 0 });
  expect(await a.mesh.publish("kept", "x")).toEqual({ total: 1, fail: 0 });
  expect(await a.mesh.publish("new", "x")).toEqual({ total: 1, fail: 0 });
});

test("an answer that does not come in time is a failure that names the engine", async () => {
  const { a, b, proxy } = await linkedByProxy({ ...QUICK, deadAfter: 60_000 });
  const client = b.connect();
  proxy.hold("backward");
  const began = performance.now();
  expect(await a.mesh.send(client.id, "x")).toBe(
    `engine ${b.id} (127.0.0.1:${b.record.meshPort}) did not answer within 0.3 s`,
  );
  expect(performance.now() - began).toBeLessThan(1500);
  expect(await a.mesh.call(client.id, "channels", [])).toEqual({ error: expect.stringContaining("did not answer") });
  expect(a.peer(b).requestsFailed).toBe(2);
  expect(a.log.lines.filter((line) => line.includes("did not answer"))).toHaveLength(1);
});

test("what waits for a peer that does not read is bounded, fails beyond, and slows nobody else", async () => {
  const limits = { ...QUICK, deadAfter: 60_000, requestTimeout: 60_000, maxWaiting: 4_000_000 };
  const { a, b, proxy } = await linkedByProxy(limits);
  const c = await start(limits);
  await cluster(a, b, c);
  const [slow, quick] = [b.connect(), c.connect()];
  proxy.hold("forward");
  const blob = "x".repeat(100_000);
  const failures: string[] = [];
  for (let n = 0; n < 400; n++) {
    const result = a.mesh.send(slow.id, blob);
    if (typeof result === "string") failures.push(result);
    if (n % 10 === 0) {
      const began = performance.now();
      expect(await a.mesh.send(quick.id, "ping")).toBeUndefined();
      expect(performance.now() - began).toBeLessThan(1000);
    }
    expect(a.peer(b).waitingBytes).toBeLessThan(4_100_000);
  }
  expect(failures.length).toBeGreaterThan(200);
  expect(failures[0]).toContain("does not keep up");
  expect(a.peer(b).dropped).toBe(failures.length);
  proxy.release();
  await until(() => slow.got.length === 400 - failures.length);
  expect(await a.mesh.send(slow.id, "again")).toBeUndefined();
});

test("a member that left keeps its link until one side ends it, and is not dialed again", async () => {
  const { a, b, proxy } = await linkedByProxy();
  const client = b.connect("news");
  await a.mesh.call(client.id, "channels", []);
  a.mesh.setMembers([a.record]);
  expect(a.mesh.unlinked()).toEqual([]);
  expect(await a.mesh.send(client.id, "still here")).toBeUndefined();
  expect(await a.mesh.publish("news", "still here")).toEqual({ total: 1, fail: 0 });
  b.hub.subscribe(client, "later");
  await a.mesh.call(client.id, "channels", []);
  expect(await a.mesh.publish("later", "x")).toEqual({ total: 1, fail: 0 });

  a.mesh.setMembers([a.record, b.record]);
  expect(a.peer(b)).toMatchObject({ up: true, links: 1 });
  a.mesh.setMembers([a.record]);
  proxy.hold("backward");
  const pending = a.mesh.send(client.id, "x");
  proxy.cut();
  expect(await pending).toContain("has left the cluster");
  expect(a.mesh.send(client.id, "x")).toBe(`no engine holds client ${client.id}`);
  expect(a.mesh.publish("news", "x")).toEqual({ total: 0, fail: 0 });
  expect(a.mesh.stats.peers).toEqual([]);
  const { connections } = proxy;
  await Bun.sleep(300);
  expect(proxy.connections).toBe(connections);
});

test("a link counts as missing from the start, or when it has been down for long, and never for a newcomer", async () => {
  const { a, b, proxy } = await linkedByProxy({ ...QUICK, linkPatience: 500 });
  expect(a.mesh.unlinked()).toEqual([]);
  proxy.cut(true);
  await until(() => !a.peer(b).up && !b.peer(a).up);
  expect(a.mesh.unlinked()).toEqual([]);
  await until(() => a.mesh.unlinked().join() === b.id && b.mesh.unlinked().join() === a.id);
  proxy.accept();
  await until(() => a.mesh.unlinked().length === 0);

  const newcomer = await start();
  const unreachable = { ...newcomer.record, meshPort: 1 };
  newcomer.mesh.setMembers([{ ...a.record, meshPort: 1 }, unreachable]);
  expect(newcomer.mesh.unlinked()).toEqual([a.id]);
  a.mesh.setMembers([a.record, b.record, unreachable]);
  await until(() => a.mesh.stats.handshakesFailed > 2);
  expect(a.mesh.unlinked()).toEqual([]);
});

test("an address that cannot even be tried is logged and tried again when it changes", async () => {
  const [a, b] = [await start(), await start()];
  b.mesh.setMembers([a.record, b.record]);
  for (const wrong of [{ meshPort: 99_999 }, { host: "" }, { host: "no.such.host.invalid" }, { meshPort: 1 }]) {
    const { handshakesFailed } = a.mesh.stats;
    a.mesh.setMembers([a.record, { ...b.record, ...wrong }]);
    await until(() => a.mesh.stats.handshakesFailed > handshakesFailed);
  }
  expect(a.log.has(`warn no mesh link to engine ${b.id}`)).toBe(true);
  a.mesh.setMembers([a.record, b.record]);
  await until(bothUp(a, b));
});

test("a dead engine's address that is this engine's now is quietly given up, unless it stays on the list", async () => {
  const a = await start({ ...QUICK, linkPatience: 1000 });
  const ghost = { ...a.record, id: "worker-that-died" };
  a.mesh.setMembers([a.record, ghost]);
  await until(() => a.mesh.stats.handshakesFailed >= 2);
  expect(a.log.has("debug no mesh link to engine worker-that-died")).toBe(true);
  expect(a.log.has("warn")).toBe(false);
  await until(() => a.log.has("warn no mesh link to engine worker-that-died"));
  expect(a.log.has("if it stays so, see cluster.advertise")).toBe(true);
});

test("so is one that is another engine's now, on both sides", async () => {
  const [a, b] = [await start({ ...QUICK, linkPatience: 1000 }), await start()];
  b.mesh.setMembers([a.record, b.record]);
  a.mesh.setMembers([a.record, { ...b.record, id: "worker-that-died" }]);
  const told = `another engine has its address now: expected worker-that-died, found`;
  await until(() => a.log.has(told) && b.log.has("debug no mesh link from 127.0.0.1"));
  expect(a.log.has("warn")).toBe(false);
  await until(() => a.log.has("warn no mesh link to engine worker-that-died"));
  expect(b.log.has("warn")).toBe(false);
});

test("many engines that start at once link with each other", async () => {
  const engines = await Promise.all(Array.from({ length: 8 }, () => start()));
  await cluster(...engines);
  for (const engine of engines) engine.connect("all");
  const last = engines.at(-1)!;
  for (const engine of engines) await last.mesh.call(engine.connect().id, "context", []);
  expect(await last.mesh.publish("all", "x")).toEqual({ total: 8, fail: 0 });
  for (const engine of engines) expect(engine.mesh.stats.peers.every(({ links }) => links === 1)).toBe(true);
});

test("a member known to one side only is linked as soon as the other hears of it", async () => {
  const [a, b] = [await start(), await start()];
  a.mesh.setMembers([a.record, b.record]);
  await until(() => b.mesh.stats.handshakesFailed > 0);
  expect(b.log.has("warn")).toBe(false);
  const began = performance.now();
  b.mesh.setMembers([a.record, b.record]);
  await until(bothUp(a, b));
  expect(performance.now() - began).toBeLessThan(1000);
});

test("stop sends what was asked before and ends every link", async () => {
  const [a, b] = [await start(), await start()];
  await cluster(a, b);
  const client = b.connect();
  const sends = Array.from({ length: 100 }, (_, n) => a.mesh.send(client.id, `${n}`));
  await a.mesh.stop();
  await until(() => !b.peer(a).up);
  expect(client.got).toHaveLength(100);
  for (const send of sends) expect([undefined, "this engine stops"]).toContain(await send);
  expect(a.log.has("lost the mesh link")).toBe(false);
});
