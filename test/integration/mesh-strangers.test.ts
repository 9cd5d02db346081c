import { afterEach, expect, test } from "bun:test";
import { FrameType } from "../../src/mesh/frame.ts";
import type { MeshOptions } from "../../src/mesh/mesh.ts";
import { until } from "../support/eventually.ts";
import { cluster, MeshEngine } from "../support/mesh-engine.ts";
import { Stranger } from "../support/mesh-stranger.ts";

const running: MeshEngine[] = [];
const strangers: Stranger[] = [];
afterEach(async () => {
  for (const stranger of strangers.splice(0)) stranger.close();
  await Promise.all(running.splice(0).map(({ mesh }) => mesh.stop()));
});

async function start(options: Partial<MeshOptions> = {}): Promise<MeshEngine> {
  const engine = await MeshEngine.start(options);
  running.push(engine);
  return engine;
}

async function dial(engine: MeshEngine): Promise<Stranger> {
  const stranger = await Stranger.connect(engine.record.meshPort);
  strangers.push(stranger);
  return stranger;
}

/** An engine, and a hand-driven peer that has joined it as its member "aaa". */
async function withMember(options: Partial<MeshOptions> = {}) {
  const engine = await start(options);
  const record = { ...engine.record, id: "aaa", number: 2000, meshPort: 1 };
  engine.mesh.setMembers([engine.record, record]);
  const stranger = await dial(engine);
  await stranger.join("aaa", options.secret);
  await until(() => engine.mesh.stats.links === 1);
  return { engine, stranger };
}

async function refusedBothWays(one: Partial<MeshOptions>, other: Partial<MeshOptions>, why: string): Promise<void> {
  const [a, b] = [await start(one), await start(other)];
  const members = [a.record, b.record];
  a.mesh.setMembers(members);
  b.mesh.setMembers(members);
  await until(() => a.log.has(why) && b.log.has(why));
  expect(a.log.lines.filter((line) => line.includes(`warn no mesh link to engine ${b.id}`))).toHaveLength(1);
  expect(b.log.lines.filter((line) => line.includes("warn no mesh link from 127.0.0.1"))).toHaveLength(1);
  expect(a.mesh.stats.links + b.mesh.stats.links).toBe(0);
  expect(await a.mesh.send(b.connect().id, "x")).toContain("cannot be reached");
}

test("engines with the same secret link", async () => {
  const [a, b] = [await start({ secret: "s3cret" }), await start({ secret: "s3cret" })];
  await cluster(a, b);
  expect(await a.mesh.send(b.connect().id, "x")).toBeUndefined();
});

test("a wrong secret is refused, with a line on both sides", () =>
  refusedBothWays({ secret: "one" }, { secret: "two" }, "wrong cluster.secret"));

test("a secret on one side only is refused, with a line on both sides", () =>
  refusedBothWays({ secret: "one" }, {}, "wrong cluster.secret"));

test("another cluster name is refused, with a line on both sides", () =>
  refusedBothWays({ clusterName: "one" }, { clusterName: "two" }, "another cluster.name"));

test("another protocol version is refused by name", async () => {
  const engine = await start();
  const stranger = await dial(engine);
  stranger.greet({ protocol: 99, version: "9.9.9" });
  await until(() => stranger.closed);
  expect(stranger.frames).toEqual([
    { type: FrameType.refuse, text: 'mesh protocol 1 expected, found 99 (connmix "9.9.9")' },
  ]);
  expect(engine.log.has("mesh protocol 1 expected, found 99")).toBe(true);
});

test("who is not a member, or does not know the secret, gets no further than the greeting", async () => {
  const engine = await start({ secret: "s3cret" });
  const unknown = await dial(engine);
  unknown.greet();
  await until(() => unknown.closed);
  expect(unknown.frames[0]?.text).toContain("not a member");
  engine.mesh.setMembers([engine.record, { ...engine.record, id: "aaa", number: 2000 }]);
  const liar = await dial(engine);
  await liar.join("aaa", "guessed");
  await until(() => liar.closed);
  expect(liar.frames.map(({ type }) => type)).toEqual([FrameType.welcome, FrameType.refuse]);
  expect(engine.mesh.stats.links).toBe(0);
});

test("the one with the higher id does not dial", async () => {
  const engine = await start();
  engine.mesh.setMembers([engine.record, { ...engine.record, id: "zzz", number: 2000, meshPort: 1 }]);
  const stranger = await dial(engine);
  stranger.greet({ node: "zzz" });
  await until(() => stranger.closed);
  expect(stranger.frames[0]?.text).toContain("the lower node id dials");
});

test("whatever is no greeting closes the connection and is logged", async () => {
  const engine = await start();
  const bad: ((stranger: Stranger) => void)[] = [
    (stranger) => stranger.raw(Buffer.from("GET / HTTP/1.1\r\nHost: mesh\r\n\r\n")),
    (stranger) => stranger.raw(new Uint8Array([0xff, 0xff, 0xff, 0xff, 1])),
    (stranger) => stranger.raw(new Uint8Array([0, 0, 0, 0])),
    (stranger) => stranger.frame(FrameType.hello, "not json"),
    (stranger) => stranger.frame(FrameType.hello, JSON.stringify({ protocol: "1" })),
    (stranger) => stranger.frame(FrameType.hello, "x".repeat(5000)),
    (stranger) => stranger.frame(FrameType.publish, new Uint8Array([1, 1, 97, 0, 98])),
    (stranger) => stranger.frame(FrameType.proof, ""),
  ];
  const client = engine.connect("a");
  for (const speak of bad) {
    const stranger = await dial(engine);
    speak(stranger);
    await until(() => stranger.closed);
  }
  expect(engine.mesh.stats.handshakesFailed).toBe(bad.length);
  expect(engine.log.has("warn no mesh link from 127.0.0.1: malformed frames")).toBe(true);
  expect(client.got).toEqual([]);
});

test("who connects and says nothing is let go after the time limit", async () => {
  const engine = await start({ limits: { handshake: 100 } });
  const silent = await Promise.all(Array.from({ length: 50 }, () => dial(engine)));
  await until(() => silent.every(({ closed }) => closed));
  expect(engine.mesh.stats.handshakesFailed).toBe(50);
  expect(engine.log.lines.filter((line) => line.includes("the handshake took too long"))).toHaveLength(1);
});

test("unknown frame types of a peer are skipped", async () => {
  const { engine, stranger } = await withMember();
  const client = engine.connect("news");
  stranger.frame(200, "from the future");
  stranger.frame(
    FrameType.publish,
    Buffer.concat([Buffer.from([7, 4]), Buffer.from("news"), Buffer.from([0]), Buffer.from("hi")]),
  );
  await until(() => client.got.length === 1);
  expect(client.got).toEqual(["hi"]);
  expect(engine.mesh.stats.links).toBe(1);
});

test("malformed frames of a peer close its link, are logged, and do no harm", async () => {
  const bad: [number, Uint8Array | string][] = [
    [FrameType.publish, new Uint8Array([1])],
    [FrameType.publish, new Uint8Array([1, 200, 1, 97])],
    [FrameType.publish, new Uint8Array([1, 1, 97, 9, 98])],
    [FrameType.send, new Uint8Array([255, 255, 255, 255, 255, 255, 255, 255, 255])],
    [FrameType.call, new Uint8Array([1, 1, 1, 97, 123])],
    [FrameType.ack, new Uint8Array([5, 97])],
    [FrameType.return, new Uint8Array([5, 97])],
    [FrameType.returned, new Uint8Array([5, 97])],
    [FrameType.position, new Uint8Array([5, 5, 97])],
    [FrameType.snapshotEnd, ""],
    [FrameType.message, Buffer.from([5, 1, 1, 97, 34, 34])],
  ];
  for (const [type, body] of bad) {
    const { engine, stranger } = await withMember();
    stranger.frame(type, body);
    await until(() => stranger.closed);
    expect(engine.log.has("lost the mesh link with engine aaa")).toBe(true);
    expect(engine.log.has("malformed frames")).toBe(true);
  }
});

test("a newer link of the same peer replaces the older one", async () => {
  const { engine, stranger } = await withMember({ secret: "s3cret" });
  const newer = await dial(engine);
  await newer.join("aaa", "s3cret");
  await until(() => stranger.closed);
  await until(() => engine.mesh.stats.links === 1);
  expect(newer.closed).toBe(false);
  expect(engine.log.has("replaced by a newer link")).toBe(true);
});
