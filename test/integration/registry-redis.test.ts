import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { UserError } from "../../src/errors.ts";
import { until } from "../support/eventually.ts";
import { RedisServer } from "../support/redis.ts";
import type { RegistryAccess } from "../support/registry-member.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { candidate, WatchedRegistry } from "../support/watched-registry.ts";

const TTL = 1500;
const LATE = 1500;

let server: RedisServer;
const members: WatchedRegistry[] = [];
const processes: RegistryProcess[] = [];

function watch(access: Partial<RegistryAccess> = {}): WatchedRegistry {
  const base = { kind: "redis", cluster: "test", keyPrefix: "connmix:", ttl: TTL, url: server.url };
  const member = new WatchedRegistry({ ...base, ...access } as RegistryAccess);
  members.push(member);
  return member;
}

beforeAll(async () => {
  server = await RedisServer.start();
});
afterAll(() => server.dispose());

afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop()));
  await Promise.all(members.splice(0).map((member) => member.registry.leave()));
});

test("Redis suspended beyond the TTL: members stand, and return with their numbers", async () => {
  const all = [watch(), watch()];
  const numbers = await Promise.all(all.map(async ({ registry }) => (await registry.join(candidate())).number));
  for (const member of all) {
    await until(() => member.ids.length === 2, 1000);
    member.fewest = 2;
  }
  server.pause();
  const pausedAt = performance.now();
  for (const { registry } of all) await until(() => registry.state === "away", TTL);
  await Bun.sleep(Math.max(0, TTL * 2 - (performance.now() - pausedAt)));
  server.resume();
  for (const { registry } of all) await until(() => registry.state === "joined", TTL + LATE);
  for (const [index, member] of all.entries()) {
    expect(member.fewest).toBe(2);
    expect(member.members.find(({ number }) => number === numbers[index])).toBeDefined();
    expect(member.renumbered).toEqual([]);
    expect(member.log.filter((line) => line.includes("away"))).toHaveLength(1);
  }
}, 20_000);

test("leave while Redis is suspended ends within a second", async () => {
  const member = watch();
  await member.registry.join(candidate());
  server.pause();
  const startedAt = performance.now();
  await member.registry.leave();
  server.resume();
  expect(performance.now() - startedAt).toBeLessThan(1000 + LATE);
  await until(async () => (await keys("node:")).length === 0, TTL + LATE);
});

test("leave while Redis is gone says so, and what becomes of the node's keys", async () => {
  const gone = await RedisServer.start();
  const member = watch({ url: gone.url } as object);
  try {
    await member.registry.join(candidate());
  } finally {
    await gone.dispose();
  }
  await until(() => member.registry.state === "away", TTL + LATE);
  await member.registry.leave();
  expect(member.log.at(-1)).toBe(
    `could not leave the redis registry ${gone.address}: it is not connected; this node's keys there expire within 1.5 s`,
  );
  expect(member.log.join("\n")).not.toContain("enableOfflineQueue");
});

test("all data gone at once, the connections standing: nobody disappears, everyone comes back under the same number", async () => {
  const all = [watch(), watch(), watch()];
  for (const { registry } of all) await registry.join(candidate());
  for (const member of all) await until(() => member.ids.length === 3, 1000);
  const before = all[0]!.members;
  for (const member of all) member.fewest = 3;
  await server.command("FLUSHALL");
  await until(async () => (await keys("node:")).length === 3, TTL + LATE);
  await until(async () => (await keys("number:")).length === 3, 1000);
  for (const member of all) {
    expect(member.fewest).toBe(3);
    expect(member.members.map(({ id, number }) => [id, number])).toEqual(before.map(({ id, number }) => [id, number]));
    expect(member.states).toEqual(["joined"]);
  }
});

test("a lost subscription is made again", async () => {
  const member = watch();
  await member.registry.join(candidate());
  await server.command("CLIENT", "KILL", "TYPE", "pubsub");
  await until(async () => (await subscribers()) === 1, TTL + LATE);
  const other = watch();
  const { id } = await other.registry.join(candidate());
  // Faster than the next look at Redis would be, by the notice alone.
  await until(() => member.knows(id), TTL / 5);
  expect(member.states).toEqual(["joined"]);
});

test("notices and looks are made again after Redis restarted", async () => {
  const member = watch();
  await member.registry.join(candidate());
  await server.kill();
  await until(() => member.registry.state === "away", TTL + LATE);
  await server.start();
  await until(() => member.registry.state === "joined", TTL + LATE);
  await until(async () => (await subscribers()) === 1, TTL + LATE);
  const { id } = await watch().registry.join(candidate());
  await until(() => member.knows(id), TTL / 5);
  expect(member.ids).toContain(id);
}, 10_000);

test("of two nodes that claim one number the one that started first keeps it", async () => {
  const older = candidate();
  const suspended = new RegistryProcess(
    { kind: "redis", cluster: "test", keyPrefix: "connmix:", ttl: TTL, url: server.url },
    older,
  );
  processes.push(suspended);
  const number = await suspended.number();
  suspended.pause();
  await until(async () => (await keys("number:")).length === 0, TTL + LATE);

  // The next number to be handed out is the one that the suspended node still believes to have.
  await server.command("SET", "connmix:{test}:cursor", `${(number + 4095) % 4096}`);
  const younger = watch();
  const record = await younger.registry.join(candidate());
  expect(record.number).toBe(number);

  suspended.resume();
  await until(() => younger.renumbered.length === 1, TTL + LATE);
  const [renumbered] = younger.renumbered;
  expect(renumbered).toMatchObject({ id: record.id, number: (number + 1) % 4096 });
  await until(() => younger.members.find(({ id }) => id === record.id)?.number === renumbered!.number, 1000);
  expect(younger.members.find(({ id }) => id === older.id)?.number).toBe(number);
  expect(younger.states).toEqual(["joined"]);
  expect(suspended.events.some((event) => "renumbered" in event)).toBe(false);
}, 20_000);

test("a number that another node gave away while this one was away too long is not taken from an older holder", async () => {
  const younger = watch();
  const record = await younger.registry.join(candidate({ startedAt: 2000 }));
  const claim = `${"1000".padStart(16, "0")}:older`;
  await server.command("SET", `connmix:{test}:number:${record.number}`, claim, "PX", "60000");
  await until(() => younger.renumbered.length === 1, TTL + LATE);
  expect(younger.renumbered[0]!.number).not.toBe(record.number);
  expect(await server.command("GET", `connmix:{test}:number:${record.number}`)).toBe(claim);
  await younger.registry.leave();
  // Only its own lease was given back.
  expect(await server.command("GET", `connmix:{test}:number:${record.number}`)).toBe(claim);
});

test("clusters of another name or prefix on one Redis do not see each other, and their keys tell them apart", async () => {
  const [plain, named, prefixed] = [watch(), watch({ cluster: "a}b{c" }), watch({ keyPrefix: "other:" } as object)];
  for (const { registry } of [plain, named, prefixed]) await registry.join(candidate());
  for (const member of [plain, named, prefixed]) expect(member.ids).toHaveLength(1);
  const found = (await server.command("KEYS", "*")) as string[];
  for (const key of found)
    expect(key).toMatch(/^(connmix|other):\{(test|a%7Db%7Bc)\}:(number:\d+|node:\w+|nodes|cursor)$/);
});

test("nothing but the cursor is left when all have left", async () => {
  await server.command("FLUSHALL");
  const all = [watch(), watch()];
  for (const { registry } of all) await registry.join(candidate());
  for (const { registry } of all) await registry.leave();
  expect(await server.command("KEYS", "*")).toEqual(["connmix:{test}:cursor"]);
});

test("what is no record in Redis is left out", async () => {
  const member = watch();
  const { id } = await member.registry.join(candidate());
  const later = `${Date.now() + 60_000}`;
  const records = ["{", "null", "[]", `{"id":"x"}`, `{"id":"../../x","number":5}`];
  for (const [index, record] of records.entries()) {
    await server.command("SET", `connmix:{test}:node:bad${index}`, record);
    await server.command("ZADD", "connmix:{test}:nodes", later, `bad${index}`);
  }
  await server.command("PUBLISH", "connmix:{test}:changes", "changed");
  await server.command("PUBLISH", "connmix:{test}:changes", "left nobody and more \u0000");
  const { renewals } = member.registry.stats;
  await until(() => member.registry.stats.renewals > renewals + 1, TTL * 2);
  expect(member.ids).toEqual([id]);
  expect(member.states).toEqual(["joined"]);
  await server.command("FLUSHALL");
});

test("a wrong password is an error that does not show it", async () => {
  const guarded = await RedisServer.start({ arguments: ["--save", "", "--requirepass", "sesame"] });
  try {
    const join = async (url: string) => {
      const error = await watch({ url } as object)
        .registry.join(candidate())
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UserError);
      return (error as UserError).message;
    };
    const wrong = await join(`redis://:guess@${guarded.address}`);
    expect(wrong).toContain(guarded.address);
    expect(wrong).toContain("WRONGPASS");
    expect(wrong).not.toContain("guess");
    expect(await join(guarded.url)).toContain("NOAUTH");
    const member = watch({ url: `redis://:sesame@${guarded.address}` } as object);
    await member.registry.join(candidate());
    expect(member.registry.state).toBe("joined");
    expect(member.log.join()).not.toContain("sesame");
    await member.registry.leave();
  } finally {
    await guarded.dispose();
  }
});

async function keys(kind: string): Promise<string[]> {
  return (await server.command("KEYS", `connmix:{test}:${kind}*`)) as string[];
}

async function subscribers(): Promise<number> {
  const [, count] = (await server.command("PUBSUB", "NUMSUB", "connmix:{test}:changes")) as [string, number];
  return count;
}
