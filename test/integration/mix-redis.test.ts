import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../support/eventually.ts";
import { type LuaClient, LuaConsole } from "../support/lua-console.ts";
import { RedisServer } from "../support/redis.ts";

let redis: RedisServer;
let console: LuaConsole;
let client: LuaClient;

beforeAll(async () => {
  redis = await RedisServer.start({ arguments: ["--save", "", "--requirepass", "secret"] });
  const addr = redis.address;
  console = await LuaConsole.start({
    redis: [
      { name: "default", addr, password: "secret", db: 0, poolSize: 3, idleTimeout: 1 },
      { name: "other", addr, password: "secret", db: 5, poolSize: 2, idleTimeout: 60 },
      { name: "wrong", addr, password: "nonsense", db: 0, poolSize: 1, idleTimeout: 60 },
      { name: "nowhere", addr, password: "secret", db: 99, poolSize: 1, idleTimeout: 60 },
    ],
  });
  client = await console.client();
}, 30_000);

afterAll(async () => {
  await console?.stop();
  await redis?.dispose();
});

const command = (...args: string[]) => client.run(`return mix.redis.connection("default"):command(${args.join(", ")})`);

describe("replies", () => {
  test("strings, numbers, nil, tables", async () => {
    expect(await command("'set'", "'k'", "'v'")).toEqual(["OK"]);
    expect(await command("'GET'", "'k'")).toEqual(["v"]);
    expect(await command("'get'", "'missing'")).toEqual([null]);
    expect(await command("'del'", "'n'")).toEqual([0]);
    expect(await command("'incrby'", "'n'", "2^40")).toEqual([2 ** 40]);
    expect(await command("'incrbyfloat'", "'f'", "1.5")).toEqual(["1.5"]);
    expect(await command("'mget'", "'k'", "'missing'", "'n'")).toEqual([["v", null, String(2 ** 40)]]);
    expect(await command("'eval'", "'return { 1, { \"a\", { 2 } }, {} }'", "0")).toEqual([[1, ["a", [2]], []]]);
    expect(await command("'lrange'", "'missing'", "0", "-1")).toEqual([[]]);
  });

  test("HGETALL is names and values in turn, and arguments are taken as they are", async () => {
    expect(await command("'hset'", "'h'", "'a'", "1", "'b'", "'\\0\\255'")).toEqual([2]);
    expect(
      await client.run(`
        local all = mix.redis.connection("default"):command("hgetall", "h")
        return #all, all[1], all[2], all[3], all[4] == "\\0\\255"`),
    ).toEqual([4, "a", "1", "b", true]);
    expect(await command("'hgetall'", "'missing'")).toEqual([[]]);
    expect(await command("'hset'", "'h'", "'x'")).toEqual([null, "ERR wrong number of arguments for 'hset' command"]);
    expect(await command("'mset'", "'x'")).toEqual([null, "ERR wrong number of arguments for 'mset' command"]);
  });

  test("a missing value in a table is mix.null, so the table keeps its length", async () => {
    expect(
      await client.run(
        `local t = mix.redis.connection("default"):command("mget", "a?", "b?"); return #t, t[1] == mix.null`,
      ),
    ).toEqual([2, true]);
  });

  test("values are bytes", async () => {
    expect(
      await client.run(`
        local redis = mix.redis.connection("default")
        local all = {}
        for i = 0, 255 do all[i + 1] = i end
        local bytes = mix.bytes_tostring(all)
        redis:command("set", bytes, bytes)
        return redis:command("get", bytes) == bytes, redis:command("strlen", bytes)`),
    ).toEqual([true, 256]);
  });

  test("each name has its own database", async () => {
    expect(await client.run(`return mix.redis.connection("other"):command("set", "only", "here")`)).toEqual(["OK"]);
    expect(await command("'get'", "'only'")).toEqual([null]);
    expect(await client.run(`return mix.redis.connection("other"):command("get", "only")`)).toEqual(["here"]);
  });
});

describe("errors are returned", () => {
  test("the server's own words", async () => {
    await command("'set'", "'text'", "'x'");
    expect(await command("'lpush'", "'text'", "1")).toEqual([
      null,
      "WRONGTYPE Operation against a key holding the wrong kind of value",
    ]);
    expect((await command("'nosuchthing'"))[1]).toContain("ERR unknown command");
    expect((await command("'get'"))[1]).toContain("wrong number of arguments");
  });

  test("a name that is not configured", async () => {
    expect(await client.run(`return mix.redis.connection("none")`)).toEqual([
      null,
      'no redis "none" in luavm.redis, which has: "default", "other", "wrong", "nowhere"',
    ]);
  });

  test("a wrong password, a wrong database", async () => {
    const [, password] = await client.run(`return mix.redis.connection("wrong"):command("get", "k")`);
    expect(password).toMatch(/^redis "wrong" \(127\.0\.0\.1:\d+\): WRONGPASS/);
    const [, database] = await client.run(`return mix.redis.connection("nowhere"):command("set", "lost", "x")`);
    expect(database).toMatch(/^redis "nowhere" .*DB index is out of range/);
    expect(await command("'get'", "'lost'")).toEqual([null]);
  });

  test("arguments that are neither strings nor numbers", async () => {
    expect(await command("'set'", "'k'", "nil")).toEqual([
      null,
      "redis set: argument 2 is a nil, expected a string or number",
    ]);
    expect(await command("'set'", "'k'", "{}")).toEqual([
      null,
      "redis set: argument 2 is a table, expected a string or number",
    ]);
    expect((await client.run(`return mix.redis.connection("default").command("get")`))[0]).toContain("with a colon");
  });

  test.each(["blpop", "SUBSCRIBE", "multi", "select", "monitor", "client", "xread', 'block', '0', 'streams", "wait"])(
    "%s would break the pool",
    async (name) => {
      const [value, error] = await command(`'${name}'`, "'x'", "0");
      expect(value).toBeNull();
      expect(error).toMatch(/^redis \w+ is not possible here: /);
    },
  );

  test("xread without block is fine, also on a stream called block", async () => {
    expect(await command("'xread'", "'streams'", "'block'", "'0'")).toEqual([null]);
  });
});

describe("connections", () => {
  const connected = async () => {
    const list = String(await redisCommand("CLIENT", "LIST"));
    return list.split("\n").filter((line) => line.includes(" db=0 ") && !line.includes("cmd=client")).length;
  };
  const redisCommand = async (...args: string[]) => {
    const { Redis } = await import("ioredis");
    const direct = new Redis({ port: redis.port, password: "secret" });
    try {
      return await direct.call(args[0]!, ...args.slice(1));
    } finally {
      direct.disconnect();
    }
  };

  test("many callbacks share poolSize connections, which close when unused", async () => {
    const clients = await Promise.all(Array.from({ length: 30 }, () => console.client()));
    await client.run(`mix.redis.connection("default"):command("del", "count")`);
    const loop = `local redis = mix.redis.connection("default"); for _ = 1, 20 do redis:command("incr", "count") end; return 1`;
    const all = Promise.all(clients.map((each) => each.run(loop)));
    await all;
    expect(await connected()).toBeLessThanOrEqual(3);
    expect(await command("'get'", "'count'")).toEqual(["600"]);
    for (const each of clients) each.socket.close();
    await until(async () => (await connected()) === 0);
  });

  test("a slow command suspends only its own client", async () => {
    const other = await console.client();
    const slow = client.run(`return mix.redis.connection("default"):command("eval", [[
      local t = redis.call("time"); local stop = t[1] * 1000 + t[2] / 1000 + 300
      repeat t = redis.call("time") until t[1] * 1000 + t[2] / 1000 > stop
      return "slow" ]], 0)`);
    expect(await other.run("return 'quick'")).toEqual(["quick"]);
    let done = false;
    void slow.then(() => {
      done = true;
    });
    expect(await other.run("return 'still quick'")).toEqual(["still quick"]);
    expect(done).toBe(false);
    expect(await slow).toEqual(["slow"]);
    other.socket.close();
  });

  test("waits inside pcall and inside a coroutine of the script", async () => {
    expect(
      await client.run(`
        local redis = mix.redis.connection("default")
        local ok, value = pcall(function() return redis:command("echo", "in pcall") end)
        local co = coroutine.wrap(function() coroutine.yield(redis:command("echo", "in coroutine")) end)
        return ok, value, co()`),
    ).toEqual([true, "in pcall", "in coroutine"]);
  });

  test("a server that is gone is an error at once, and back it works", async () => {
    await command("'ping'");
    await redis.kill();
    const started = performance.now();
    for (let i = 0; i < 20; i++) {
      const [value, error] = await command("'get'", "'k'");
      expect(value).toBeNull();
      expect(error).toMatch(/^redis "default" \(127\.0\.0\.1:\d+\): /);
    }
    expect(performance.now() - started).toBeLessThan(5000);
    await redis.start();
    await until(async () => (await command("'set'", "'k'", "'again'"))[0] === "OK");
    expect(await command("'get'", "'k'")).toEqual(["again"]);
  });

  test("a server that hangs is given up", async () => {
    redis.pause();
    const [value, error] = await command("'get'", "'k'");
    redis.resume();
    expect(value).toBeNull();
    expect(error).toMatch(/Socket timeout|timed out/i);
    expect(await command("'ping'")).toEqual(["PONG"]);
  }, 20_000);
});
