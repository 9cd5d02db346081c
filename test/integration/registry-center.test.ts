import { afterEach, beforeEach, expect, test } from "bun:test";
import { connect, createServer, type Socket } from "node:net";
import { createNonce } from "../../src/cluster-auth.ts";
import { UserError } from "../../src/errors.ts";
import type { Log } from "../../src/log.ts";
import { parseAddress } from "../../src/registry/address.ts";
import { CenterLink, type CenterLinkEvents } from "../../src/registry/center-link.ts";
import { CenterServer, type CenterServerOptions } from "../../src/registry/center-server.ts";
import { CenterSession } from "../../src/registry/center-session.ts";
import type { Candidate } from "../../src/registry/registry.ts";
import { CenterProcess } from "../support/center-process.ts";
import { until } from "../support/eventually.ts";
import type { RegistryAccess } from "../support/registry-member.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { candidate, WatchedRegistry } from "../support/watched-registry.ts";

const TTL = 1500;
const LATE = 1500;
const secret = "swordfish";

let log: string[];
let server: CenterServer;
let address: string;
const members: WatchedRegistry[] = [];

async function startServer(options: Partial<CenterServerOptions> = {}): Promise<CenterServer> {
  const write = (message: string) => log.push(message);
  const center: Log = { debug: write, info: write, warn: write, error: write };
  const started = new CenterServer({
    port: 0,
    bind: "127.0.0.1",
    cluster: "test",
    secret,
    ttl: TTL,
    log: center,
    ...options,
  });
  await started.start();
  return started;
}

function watch(access: Partial<RegistryAccess> = {}): WatchedRegistry {
  const member = new WatchedRegistry({ kind: "center", address, cluster: "test", secret, ...access } as RegistryAccess);
  members.push(member);
  return member;
}

async function refusal(access: Partial<RegistryAccess>): Promise<string> {
  const error = await watch(access)
    .registry.join(candidate())
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).message;
}

function logged(pattern: RegExp): Promise<boolean> {
  return until(() => log.some((line) => pattern.test(line)), 5000, `log line ${pattern} in ${log.join(" | ")}`);
}

beforeEach(async () => {
  log = [];
  server = await startServer();
  address = `127.0.0.1:${server.port}`;
});

afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.registry.leave()));
  await server.stop();
});

test("a process that runs both logs each step in order", async () => {
  const member = watch();
  const node = candidate({ host: "192.168.2.101" });
  const steps: string[] = [];
  log.push = member.log.push = (line: string) => steps.push(line);
  await member.registry.join(node);
  expect(steps).toEqual([
    `center registry ${address} connect successful`,
    `register engine node_id ${node.id}`,
    `register node 192.168.2.101 node_id ${node.id}`,
  ]);
  expect(log).toEqual([`start the registry server (${address})`]);
});

test("the server knows its members, and tells its owner at each change", async () => {
  const seen: number[] = [];
  server.onMembers = (list) => seen.push(list.length);
  const member = watch();
  const record = await member.registry.join(candidate());
  expect(server.members()).toEqual([record]);
  await member.registry.leave();
  expect(server.members()).toEqual([]);
  expect(seen).toEqual([1, 0]);
});

test("a port in use is named", async () => {
  const error = await startServer({ port: server.port }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toContain(`port ${server.port} is in use`);
  expect((error as UserError).message).toContain("center.registry.port");
});

test("another secret is refused and told on both sides", async () => {
  expect(await refusal({ secret: "guess" })).toContain("set the same cluster.secret on both");
  await logged(/refuses this center: .*secret/);
  expect(server.members()).toEqual([]);
});

test("a secret on one side only is refused", async () => {
  expect(await refusal({ secret: undefined as unknown as string })).toContain("set the same cluster.secret on both");
  await server.stop();
  server = await startServer({ secret: undefined });
  address = `127.0.0.1:${server.port}`;
  expect(await refusal({})).toContain("set the same cluster.secret on both");
});

test("another cluster name is refused and told on both sides", async () => {
  expect(await refusal({ cluster: "staging" })).toContain(
    `the engine's cluster.name is "staging", the center's "test"`,
  );
  await logged(/refuse engine 127\.0\.0\.1:\d+: .*"staging"/);
});

test("without a secret engines on this machine are accepted, and no others", async () => {
  await server.stop();
  server = await startServer({ secret: undefined });
  await logged(/no cluster\.secret is set/);
  address = `127.0.0.1:${server.port}`;
  const local = watch({ secret: undefined as unknown as string });
  await local.registry.join(candidate());
  expect(local.registry.state).toBe("joined");

  // One machine has no foreign address to dial from, so the address is what is made up here.
  const foreign = createServer((socket) => {
    Object.defineProperty(socket, "remoteAddress", { value: "203.0.113.9" });
    new CenterSession(socket, server);
  });
  await new Promise<void>((resolve) => foreign.listen({ port: 0, host: "127.0.0.1" }, resolve));
  const { port } = foreign.address() as { port: number };
  const text = await refusal({ address: `127.0.0.1:${port}`, secret: undefined as unknown as string });
  expect(text).toContain("set the same cluster.secret on center and engines");
  await logged(/refuse engine 203\.0\.113\.9:\d+: without a secret/);
  foreign.close();
});

test("another protocol version is refused and told", async () => {
  const { answers } = await talk([frame({ type: "hello", protocol: 99, cluster: "test", nonce: createNonce() })]);
  expect(answers).toContain("the engine speaks registry protocol 99");
  await logged(/refuse engine .*protocol 99/);
});

test("malformed messages close the connection, are logged, and do the others no harm", async () => {
  const member = watch();
  await member.registry.join(candidate());
  const hello = { type: "hello", protocol: 1, cluster: "test", nonce: createNonce() };
  const cases: [Uint8Array[], RegExp][] = [
    [[Buffer.from([0xff, 0xff, 0xff, 0xff])], /4294967295 bytes, at most/],
    [[Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")], /bytes, at most/],
    [[Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])], /not JSON/],
    [[frame([])], /malformed message/],
    [[frame({ type: "constructor" })], /malformed message: type/],
    [[frame({ ...hello, nonce: "short" })], /not a nonce/],
    [[frame({ ...hello, cluster: "line\nbreak" })], /cluster: control characters/],
    [[frame(hello), frame(hello)], /a second hello/],
    [[frame({ type: "heartbeat" })], /not registered yet/],
    [[frame({ type: "leave" })], /not registered yet/],
    [[frame({ type: "register", proof: "", candidate: candidate() })], /register before hello/],
    [
      [frame(hello), frame({ type: "register", proof: "00", candidate: candidate() })],
      /proof of the cluster secret is wrong/,
    ],
    [
      [frame(hello), frame({ type: "register", proof: "00", candidate: { id: "../x" } })],
      /malformed message: candidate\.id/,
    ],
  ];
  for (const [parts, expected] of cases) {
    log.length = 0;
    await talk(parts);
    await logged(expected);
  }
  log.length = 0;
  for (let round = 0; round < 50; round++) await talk([crypto.getRandomValues(new Uint8Array(64))]);
  // Strangers cannot fill the log.
  expect(log.length).toBeLessThan(25);
  expect(member.states).toEqual(["joined"]);
  expect(server.members()).toHaveLength(1);
});

test("a message that arrives byte by byte is understood", async () => {
  const hello = frame({ type: "hello", protocol: 1, cluster: "other", nonce: createNonce() });
  const { answers } = await talk([...hello].map((byte) => Uint8Array.of(byte)));
  expect(answers).toContain(`the engine's cluster.name is \\"other\\"`);
});

test("a connection that says nothing is closed after the handshake limit", async () => {
  const { milliseconds } = await talk([]);
  expect(milliseconds).toBeWithin(2500, 3000 + LATE);
  await logged(/no registration within 3 s/);
}, 10_000);

test("a join ends with an error when the center accepts and says nothing", async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen({ port: 0, host: "127.0.0.1" }, resolve));
  const { port } = silent.address() as { port: number };
  expect(await refusal({ address: `127.0.0.1:${port}` })).toContain("no answer within 3 s");
  silent.close();
}, 10_000);

test("a join ends with an error when what answers is not a center", async () => {
  const other = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  await new Promise<void>((resolve) => other.listen({ port: 0, host: "127.0.0.1" }, resolve));
  const { port } = other.address() as { port: number };
  expect(await refusal({ address: `127.0.0.1:${port}` })).toContain("malformed message");
  other.close();
});

test("a short cut of the network is seen by nobody else", async () => {
  const proxy = await TcpProxy.start(server.port);
  const [observer, member] = [watch(), watch({ address: proxy.address } as Partial<RegistryAccess>)];
  await observer.registry.join(candidate());
  const { id } = await member.registry.join(candidate());
  await until(() => observer.knows(id), 1000);
  observer.fewest = 2;

  proxy.cut();
  await until(() => member.states.length === 3, TTL + LATE);
  expect(member.states).toEqual(["joined", "away", "joined"]);
  expect(member.members).toEqual(observer.members);
  expect(observer.fewest).toBe(2);
  await member.registry.leave();
  await proxy.dispose();
});

test("both sides notice a connection on which nothing gets through, and meet again under the same number", async () => {
  const proxy = await TcpProxy.start(server.port);
  const [observer, member] = [watch(), watch({ address: proxy.address } as Partial<RegistryAccess>)];
  await observer.registry.join(candidate());
  const { id, number } = await member.registry.join(candidate());
  await until(() => observer.knows(id), 1000);

  proxy.block();
  await until(() => member.registry.state === "away", TTL + LATE);
  await until(() => !observer.knows(id), TTL + LATE);
  expect(member.ids).toHaveLength(2);

  proxy.unblock();
  await until(() => member.registry.state === "joined", 3000 + TTL + LATE);
  await until(() => observer.knows(id), 1000);
  expect(observer.members.find((node) => node.id === id)?.number).toBe(number);
  expect(member.renumbered).toEqual([]);
  await member.registry.leave();
  await proxy.dispose();
}, 15_000);

test("a center suspended beyond the TTL finds everyone again, and nobody disappears meanwhile", async () => {
  const center = await CenterProcess.start({ cluster: "test", secret, ttl: TTL });
  try {
    const all = Array.from({ length: 4 }, () => watch({ address: center.address } as Partial<RegistryAccess>));
    for (const { registry } of all) await registry.join(candidate());
    for (const member of all) await until(() => member.ids.length === 4, 1000);
    const before = all[0]!.members.map(({ id, number }) => [id, number]);
    for (const member of all) member.fewest = 4;

    center.pause();
    const pausedAt = performance.now();
    for (const { registry } of all) await until(() => registry.state === "away", TTL + LATE);
    await Bun.sleep(Math.max(0, TTL * 2 - (performance.now() - pausedAt)));
    center.resume();
    for (const { registry } of all) await until(() => registry.state === "joined", 3000 + TTL + LATE);
    for (const member of all) {
      expect(member.fewest).toBe(4);
      expect(member.members.map(({ id, number }) => [id, number])).toEqual(before);
      expect(member.renumbered).toEqual([]);
    }
  } finally {
    await center.dispose();
  }
}, 20_000);

test("of two nodes that claim one number the one that started first keeps it", async () => {
  const younger = watch();
  const { id, number } = await younger.registry.join(candidate({ startedAt: 2000 }));

  // An older node comes back, which the center gave up long ago.
  const older = claim(candidate({ startedAt: 1000 }), number);
  expect(await older.number).toBe(number);
  await until(() => younger.renumbered.length === 1, 1000);
  const [renumbered] = younger.renumbered;
  expect(renumbered).toMatchObject({ id });
  expect(renumbered!.number).not.toBe(number);
  await until(() => younger.members.some((node) => node.id === id && node.number === renumbered!.number), 1000);
  expect(younger.states).toEqual(["joined"]);

  // One that started later does not get it.
  const youngest = claim(candidate({ startedAt: 3000 }), number);
  expect(await youngest.number).not.toBe(number);
  expect(new Set(server.members().map((node) => node.number)).size).toBe(3);
  older.link.close("test");
  youngest.link.close("test");
});

/** An engine that comes back with `number`, which it had before. */
function claim(node: Candidate, number: number): { link: CenterLink; number: Promise<number> } {
  const registered = Promise.withResolvers<number>();
  const events: CenterLinkEvents = {
    load: () => undefined,
    connected() {},
    registered: (leased) => registered.resolve(leased),
    renewed() {},
    joined() {},
    left() {},
    renumbered() {},
    closed: (reason) => registered.reject(new Error(reason)),
  };
  const options = { address: parseAddress(address), cluster: "test", secret, candidate: node, number };
  return { link: new CenterLink(options, events), number: registered.promise };
}

function frame(message: unknown): Uint8Array {
  const text = Buffer.from(JSON.stringify(message));
  const header = Buffer.alloc(4);
  header.writeUInt32BE(text.length);
  return Buffer.concat([header, text]);
}

/** Sends `parts`, each a write of its own, and waits until the center closes. */
async function talk(parts: Uint8Array[]): Promise<{ answers: string; milliseconds: number }> {
  const startedAt = performance.now();
  const socket: Socket = connect(parseAddress(address));
  socket.setNoDelay(true);
  let answers = "";
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("data", (chunk) => {
    answers += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  for (const part of parts) {
    socket.write(part);
    await Promise.resolve();
  }
  // Random bytes may be the start of a long message: say that no more will come.
  if (parts.length > 0) socket.end();
  await closed;
  return { answers, milliseconds: performance.now() - startedAt };
}
