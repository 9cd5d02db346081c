import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { UserError } from "../../src/errors.ts";
import { CenterServer } from "../../src/registry/center-server.ts";
import { until } from "../support/eventually.ts";
import { quiet } from "../support/log-lines.ts";
import { freePort } from "../support/ports.ts";
import { RedisCluster, RedisSentinel, RedisServer } from "../support/redis.ts";
import type { RegistryAccess } from "../support/registry-member.ts";
import { RegistryProcess } from "../support/registry-process.ts";
import { candidate, WatchedRegistry } from "../support/watched-registry.ts";

/** Milliseconds; how late a loaded machine may be with a timer. */
const TTL = 3000;
const LATE = 1500;

const redis = { kind: "redis", cluster: "contract", keyPrefix: "test:", ttl: TTL } as const;

/** A registry that can be taken away and brought back empty, at the same address. */
interface Backend {
  access: RegistryAccess;
  stop(): Promise<void>;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

async function startCenter(): Promise<Backend> {
  const options = { port: 0, bind: "127.0.0.1", cluster: "contract", secret: "swordfish", ttl: TTL, log: quiet };
  let server = new CenterServer(options);
  await server.start();
  const { port } = server;
  return {
    access: { kind: "center", address: `127.0.0.1:${port}`, cluster: "contract", secret: "swordfish" },
    stop: () => server.stop(),
    start: () => {
      server = new CenterServer({ ...options, port });
      return server.start();
    },
    dispose: () => server.stop(),
  };
}

async function startRedis(): Promise<Backend> {
  const server = await RedisServer.start();
  return {
    access: { ...redis, url: server.url },
    stop: () => server.stop(),
    start: () => server.start(),
    dispose: () => server.dispose(),
  };
}

const members: WatchedRegistry[] = [];
const processes: RegistryProcess[] = [];

function watch(access: RegistryAccess): WatchedRegistry {
  const member = new WatchedRegistry(access);
  members.push(member);
  return member;
}

async function joined(access: RegistryAccess): Promise<WatchedRegistry & { id: string; number: number }> {
  const { id, number } = await watch(access).registry.join(candidate());
  return Object.assign(members.at(-1)!, { id, number });
}

afterEach(async () => {
  await Promise.all(processes.splice(0).map((process) => process.stop()));
  await Promise.all(members.splice(0).map((member) => member.registry.leave()));
});

for (const [name, startBackend] of [
  ["center", startCenter],
  ["redis", startRedis],
] as const) {
  describe(`${name} registry`, () => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await startBackend();
    });
    afterAll(() => backend.dispose());

    test("join leases a number and tells everyone within a second, leave is seen at once", async () => {
      const first = await joined(backend.access);
      expect(first.ids).toEqual([first.id]);
      expect(first.registry.state).toBe("joined");

      const record = candidate({ host: "node.example", servers: [] });
      const second = watch(backend.access);
      const leased = await second.registry.join(record);
      expect(leased).toEqual({ ...record, number: leased.number });
      expect(leased.number).not.toBe(first.number);
      await until(() => first.knows(record.id), 1000);
      expect(first.members).toEqual(second.members);
      expect(first.members).toContainEqual(leased);

      await second.registry.leave();
      expect(second.registry.state).toBe("left");
      await until(() => !first.knows(record.id), 1000);
      expect(first.ids).toEqual([first.id]);
      expect(first.states).toEqual(["joined"]);
    });

    test("each renewal tells the others what this node was doing", async () => {
      const [first, second] = [await joined(backend.access), await joined(backend.access)];
      const load = { clients: 7, channels: 2, readMessages: 100, sentMessages: 2 ** 40, publishes: 0 };
      second.registry.load = () => load;
      for (const member of [first, second]) {
        await until(() => Bun.deepEquals(member.members.find(({ id }) => id === second.id)?.load, load), TTL + LATE);
      }
      expect(first.members.find(({ id }) => id === first.id)?.load).toBeUndefined();
      expect(second.registry.stats.renewals).toBeGreaterThan(0);
    }, 10_000);

    test("a number that was given back is not issued again soon", async () => {
      const numbers = new Set<number>();
      for (let round = 0; round < 5; round++) {
        const member = await joined(backend.access);
        numbers.add(member.number);
        await member.registry.leave();
      }
      expect(numbers.size).toBe(5);
    });

    test("50 nodes that join at once get 50 numbers and all know each other", async () => {
      const candidates = Array.from({ length: 50 }, () => candidate());
      const all = candidates.map(() => watch(backend.access));
      const records = await Promise.all(all.map(({ registry }, index) => registry.join(candidates[index]!)));
      expect(new Set(records.map((record) => record.number)).size).toBe(50);
      for (const record of records) expect(record.number).toBeWithin(0, 4096);
      const ids = candidates.map(({ id }) => id).sort();
      for (const member of all) await until(() => Bun.deepEquals(member.ids, ids));
      expect(all.flatMap((member) => member.renumbered)).toEqual([]);
    }, 30_000);

    test("a node killed is gone within the TTL; one suspended longer comes back with its id and number", async () => {
      const observer = await joined(backend.access);
      const [victim, sleeper] = [candidate(), candidate()];
      const killed = new RegistryProcess(backend.access, victim);
      const suspended = new RegistryProcess(backend.access, sleeper);
      processes.push(killed, suspended);
      await killed.number();
      const number = await suspended.number();
      await until(() => observer.ids.length === 3, 1000);

      suspended.pause();
      await killed.kill();
      const killedAt = performance.now();
      await until(() => !observer.knows(victim.id), TTL + LATE);
      expect(performance.now() - killedAt).toBeLessThan(TTL + LATE);
      await until(() => !observer.knows(sleeper.id), TTL + LATE);
      expect(observer.ids).toEqual([observer.id]);

      suspended.resume();
      await until(() => observer.knows(sleeper.id), TTL + LATE);
      expect(observer.members.find(({ id }) => id === sleeper.id)?.number).toBe(number);
      await until(() => suspended.events.at(-1), 1000);
      expect(suspended.events.some((event) => "renumbered" in event)).toBe(false);
      expect(observer.states).toEqual(["joined"]);
    }, 30_000);

    test("members outlive the registry, and return to an empty one with their numbers while the list stands", async () => {
      const all = [await joined(backend.access), await joined(backend.access), await joined(backend.access)];
      const [leaver] = all.slice(-1);
      for (const member of all) await until(() => member.ids.length === 3, 1000);
      const before = all[0]!.members;
      for (const member of all) member.fewest = 3;

      await backend.stop();
      for (const { registry } of all) await until(() => registry.state === "away", TTL + LATE);
      for (const member of all) expect(member.members).toEqual(before);

      await backend.start();
      for (const { registry } of all) await until(() => registry.state === "joined", TTL + LATE);
      for (const member of all) {
        expect(member.states).toEqual(["joined", "away", "joined"]);
        expect(member.members).toEqual(before);
        expect(member.fewest).toBe(3);
        expect(member.renumbered).toEqual([]);
        expect(member.registry.stats.failures).toBeGreaterThan(0);
        expect(member.registry.stats.lastError).toBeString();
      }

      // Those who are only held as long as they may still be on their way do leave at once when they say so.
      await leaver!.registry.leave();
      await until(() => !all[0]!.knows(leaver!.id), 1000);
      expect(all[0]!.ids).toHaveLength(2);

      const newcomer = await joined(backend.access);
      expect(before.map(({ number }) => number)).not.toContain(newcomer.number);
      await until(() => all[0]!.knows(newcomer.id), 1000);
    }, 30_000);

    test("a node that died during the outage is dropped one TTL after the return", async () => {
      const observer = await joined(backend.access);
      const victim = candidate();
      const killed = new RegistryProcess(backend.access, victim);
      processes.push(killed);
      await killed.number();
      await until(() => observer.knows(victim.id), 1000);

      await backend.stop();
      await killed.kill();
      await backend.start();
      await until(() => observer.registry.state === "joined" && observer.states.includes("away"), TTL + LATE);
      expect(observer.knows(victim.id)).toBe(true);
      await until(() => !observer.knows(victim.id), TTL + LATE);
      expect(observer.ids).toEqual([observer.id]);
    }, 30_000);

    test("the first join tells the user when nothing listens at the address", async () => {
      const address = `127.0.0.1:${freePort()}`;
      const place = backend.access.kind === "center" ? { address } : { url: `redis://${address}` };
      const member = watch({ ...backend.access, ...place } as RegistryAccess);
      const error = await member.registry.join(candidate()).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).message).toContain(address);
      expect((error as UserError).message).toMatch(/refused|ECONNREFUSED/);
      expect(member.registry.state).toBe("left");
    });

    test("leave while the registry is away ends within its limit", async () => {
      const member = await joined(backend.access);
      await backend.stop();
      const startedAt = performance.now();
      await member.registry.leave();
      expect(performance.now() - startedAt).toBeLessThan(1000 + LATE);
      expect(member.registry.state).toBe("left");
      await backend.start();
    }, 20_000);
  });
}

describe("redis registry on", () => {
  test("Cluster: join, watch and leave", async () => {
    const cluster = await RedisCluster.start();
    try {
      await joinWatchLeave({ ...redis, nodes: cluster.addresses });
    } finally {
      await cluster.dispose();
    }
  }, 60_000);

  test("Sentinel: join, watch and leave, and through a failover with the same number", async () => {
    const sentinel = await RedisSentinel.start();
    try {
      const access = { ...redis, sentinels: [sentinel.sentinel.address], master: RedisSentinel.masterName };
      await joinWatchLeave(access);
      const member = await joined(access);
      await sentinel.master.kill();
      await until(() => member.registry.state === "away", TTL + LATE);
      await until(() => member.registry.state === "joined", 20_000);
      expect(member.ids).toEqual([member.id]);
      expect(member.renumbered).toEqual([]);
      await joinWatchLeave(access);
      await member.registry.leave();
    } finally {
      await sentinel.dispose();
    }
  }, 60_000);
});

async function joinWatchLeave(access: RegistryAccess): Promise<void> {
  const [first, second] = [await joined(access), await joined(access)];
  expect(first.number).not.toBe(second.number);
  await until(() => first.knows(second.id) && second.knows(first.id), 1000);
  await second.registry.leave();
  await until(() => !first.knows(second.id), 1000);
  expect(first.knows(first.id)).toBe(true);
  await first.registry.leave();
}
