import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Connmix, freePorts } from "../support/connmix.ts";
import { LUA_CONSOLE, LuaClient } from "../support/lua-console.ts";

let node: Connmix;
let lua: LuaClient;

beforeAll(async () => {
  const servers = [
    { port: 0, bind: "127.0.0.1", entry: "app/entry.lua" },
    { port: 0, bind: "127.0.0.1", entry: "app/entry.lua" },
  ];
  node = await Connmix.start("dev", freePorts({}, { servers }), {
    servers: 2,
    files: {
      "app/entry.lua": LUA_CONSOLE,
      "app/beside.lua": "return 'beside'",
      "app/deep/er.lua": "return 'deeper'",
      "lua/shared.lua": "return 'shared'",
      "secret.lua": "return 'secret'",
      "app/lookup.lua": "return ...",
    },
  });
  lua = await LuaClient.connect(node);
});
afterAll(async () => {
  await node.stop();
});

describe("what is not there", () => {
  test.each([
    "io",
    "debug",
    "dofile",
    "loadfile",
    "os.execute",
    "os.exit",
    "os.remove",
    "os.rename",
    "os.getenv",
    "os.tmpname",
    "os.setlocale",
    "string.dump",
    "package.loadlib",
    "package.cpath",
    "package.searchers",
    "package.loaders",
    "package.loaded.io",
    "package.loaded.debug",
    "package.loaded.package",
    "package.loaded.os.exit",
    "js",
    "fengari",
    "process",
    "Bun",
    "globalThis",
    "coroutine.js",
  ])("%s", async (name) => {
    expect(await lua.run(`return ${name}`)).toEqual([null]);
  });
});

test("nothing in reach of the globals is or leads to JavaScript", async () => {
  const found = await lua.run(`
    local seen, strange = {}, {}
    local function visit(value, path)
      local kind = type(value)
      if kind == "userdata" then strange[#strange + 1] = path end
      if kind ~= "table" or seen[value] then return end
      seen[value] = true
      for key, inner in next, value do visit(key, path .. "<key>") visit(inner, path .. "." .. tostring(key)) end
      local meta = getmetatable(value)
      if type(meta) == "table" then visit(meta, path .. "<meta>") end
    end
    visit(_G, "_G")
    table.sort(strange)
    return strange
  `);
  // JSON's null is the only value that is not Lua's own.
  expect(found).toEqual([["_G.mix.null"].filter((path) => (found[0] as string[]).includes(path))]);
});

describe("require", () => {
  test("finds what is beside the entry, below it, in lua/ and what is built in", async () => {
    expect(await lua.run(`return require "beside", require "deep.er", require "deep/er", require "shared"`)).toEqual([
      "beside",
      "deeper",
      "deeper",
      "shared",
    ]);
    expect(await lua.run(`return type(require "protocols.text"), type(require "bit")`)).toEqual(["table", "table"]);
  });

  test.each([
    "..secret",
    "../secret",
    "..\\\\secret",
    "deep/../../secret",
    "deep....secret",
    "/etc/passwd",
    "lua:shared",
    "js",
    "fengari",
    "io",
    "debug",
    "ffi",
    "secret\\0",
    "",
    ".",
    "__proto__",
    "constructor",
    "toString",
    "node:fs",
    "bun",
  ])("does not find %j", async (name) => {
    const [message] = await lua.run(`return require("${name}")`);
    expect(message).toMatch(/^sent:1: module '.*' not found|^sent:1: .*string expected/s);
  });

  test("is not led elsewhere by package.path or package.loaded", async () => {
    const [message] = await lua.run(
      `package.path = "${node.folder}/?.lua;/etc/?" local ok, err = pcall(require, "secret") return err`,
    );
    expect(message).toContain("not found");
    expect(await lua.run(`package.loaded = nil local ok, err = pcall(require, "beside") return ok, err`)).toEqual([
      false,
      "package.loaded is not a table",
    ]);
    await node.stop();
    await startAgain();
  });
});

/** For tests that leave the VM's globals behind. */
async function startAgain(): Promise<void> {
  const servers = [0, 1].map(() => ({ port: 0, bind: "127.0.0.1", entry: "app/entry.lua" }));
  node = await Connmix.start("dev", freePorts({}, { servers }), {
    servers: 2,
    files: { "app/entry.lua": LUA_CONSOLE },
  });
  lua = await LuaClient.connect(node);
}

describe("load", () => {
  test("takes no byte code, whatever it is called", async () => {
    for (const mode of ["nil", '"b"', '"bt"']) {
      const [chunk, err] = await lua.run(`return load("\\27Lua\\x53\\0\\x19\\x93\\r\\n\\x1a\\n", "x", ${mode})`);
      expect([chunk, typeof err]).toEqual([null, "string"]);
    }
    const [chunk, err] = await lua.run(
      `local parts = { "\\27", "Lua", nil } local i = 0 return load(function() i = i + 1 return parts[i] end)`,
    );
    expect([chunk, typeof err]).toEqual([null, "string"]);
  });

  test("gives no more than the globals there are", async () => {
    expect(await lua.run(`return load("return io, debug, js")()`)).toEqual([null, null, null]);
    expect(await lua.run(`return load("return print", "x", "t", {})()`)).toEqual([null]);
  });

  test("of a function that never ends is stopped", async () => {
    lua.socket.send(`pcall(load, function() return " " end)`);
    expect(await lua.run("return 'here'")).toEqual(["here"]);
    await node.line(/on_message of client \d+ failed: .*stopped: it /);
  });
});

describe("metatables", () => {
  test("that of strings is not to be had or changed", async () => {
    expect(await lua.run(`return getmetatable("")`)).toEqual([false]);
    expect((await lua.run(`return setmetatable("", {})`))[0]).toMatch(/table expected/);
    // Their methods are the string table, which is the script's own to change.
    expect(await lua.run(`return ("x").rep == string.rep, ("x").dump`)).toEqual([true, null]);
  });

  test("those of connections and other objects of the host are not to be had", async () => {
    expect(
      await lua.run(`
        local conn = ...
        local function meta(value) local m = getmetatable(value) return type(m) == "table" and "table" or m end
        return meta(conn), meta(mix.null), meta(mix.websocket()), meta((mix.redis.connection("default")))
      `),
    ).toEqual([false, expect.not.stringMatching("table"), false, expect.not.stringMatching("table")]);
  });

  test("a method called on something else is an error, not a way in", async () => {
    for (const self of ["{}", "''", "12", "mix.null", "print", "coroutine.create(print)", "setmetatable({}, {})"]) {
      const [message] = await lua.run(`local conn = ... return conn.send(${self}, "x")`);
      expect(message).toMatch(/connection expected/);
    }
  });

  test("names of JavaScript's own mean nothing", async () => {
    for (const name of ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "__defineGetter__"]) {
      expect(
        await lua.run(`local conn = ... return _G["${name}"], mix["${name}"], ({})["${name}"], (""  )["${name}"]`),
      ).toEqual([null, null, null, null]);
      const [message] = await lua.run(`local conn = ... return conn["${name}"]`);
      expect(message).toBeNull();
    }
    expect(
      await lua.run(`
        local conn = ...
        conn:set_context({ __proto__ = { polluted = true }, constructor = "x" })
        local decoded = mix.json_decode('{"__proto__": {"polluted": true}}')
        conn:set_context_value("__proto__", { polluted = true })
        return conn:context_value("polluted"), decoded.polluted, ({}).polluted, conn:context_value("toString")
      `),
    ).toEqual([null, null, null, null]);
  });

  test("tables with hostile metamethods do no harm where the host reads them", async () => {
    const hostile = `setmetatable({}, {
      __index = function() error("index") end, __len = function() return 1e15 end,
      __pairs = function() error("pairs") end, __tostring = function() return 1 end,
      __name = 12, __metatable = "locked", __gc = function() error("gc") end, __close = 1,
    })`;
    for (const call of [
      `mix.json_encode(${hostile})`,
      `mix.queue.push("hostile", ${hostile})`,
      `conn:send(${hostile})`,
      `conn:set_context(${hostile})`,
      `mix.log(mix.INFO, ${hostile})`,
      `mix.bytes_tostring(${hostile})`,
      `print(${hostile})`,
      `tostring(${hostile})`,
      `mix.http.request("GET", ${hostile})`,
      `mix.http.request("GET", "http://127.0.0.1:1", ${hostile})`,
      `table.concat(${hostile})`,
      `table.unpack(${hostile})`,
      `error(${hostile})`,
      `table.sort(${hostile})`,
    ]) {
      await lua.run(`local conn = ... return pcall(function() return ${call} end)`);
    }
    expect(await lua.run("return 1 + 1")).toEqual([2]);
  });
});

describe("coroutines", () => {
  test("cannot take over another callback's, or their own from inside", async () => {
    const other = await LuaClient.connect(node);
    expect(
      await other.run(`
        victim = coroutine.running()
        local conn = ...
        conn:set_context_value("x", 1)
        return coroutine.isyieldable()
      `),
    ).toEqual([true]);
    const waiting = other.run(`victim = coroutine.running() mix.sleep(0.5) return "woke"`);
    await Bun.sleep(100);
    const stolen = await lua.run(`
      return coroutine.status(victim), coroutine.resume(victim), pcall(coroutine.wrap(function() coroutine.resume(victim) end))
    `);
    expect(stolen.slice(0, 2)).toEqual(["normal", false]);
    expect(await waiting).toEqual(["woke"]);
    expect((await lua.run(`return coroutine.resume(coroutine.running())`))[0]).toBe(false);
  });

  test("a yield of the callback itself is an error, and the connection goes on", async () => {
    const other = await LuaClient.connect(node);
    other.socket.send("coroutine.yield(1)");
    expect(await other.run("return 'here'")).toEqual(["here"]);
    await node.line(/coroutine\.yield outside a coroutine/);
    other.socket.send("pcall(coroutine.yield, 1) return 'got past it'");
    expect(await other.run("return 'still here'")).toEqual(["still here"]);
  });

  test("wrapped, dead, and inside one another", async () => {
    expect(
      await lua.run(`
        local co = coroutine.create(function() mix.sleep(0.01) return "inner" end)
        local ok, value = coroutine.resume(co)
        local again, why = coroutine.resume(co)
        local f = coroutine.wrap(function() coroutine.yield(mix.sleep(0.01) or "slept") error("oops", 0) end)
        local first = f()
        local failed, message = pcall(f)
        return ok, value, again, why, first, failed, message
      `),
    ).toEqual([true, "inner", false, "cannot resume dead coroutine", "slept", false, "oops"]);
  });
});

test("globals are shared by the connections of one server, and by no other server", async () => {
  await lua.run("shared_by_all = 12 string.shared = true");
  const beside = await LuaClient.connect(node);
  expect(await beside.run("return shared_by_all, string.shared")).toEqual([12, true]);
  const elsewhere = await LuaClient.connect(node, 1);
  expect(await elsewhere.run("return shared_by_all, string.shared")).toEqual([null, null]);
  elsewhere.socket.send("string.rep = nil mix = nil print = nil");
  expect(await lua.run("return type(string.rep), type(mix), type(print)")).toEqual(["function", "table", "function"]);
});

test("a script that breaks its own globals breaks nothing else", async () => {
  const victim = await LuaClient.connect(node, 1);
  victim.socket.send("_G.pcall = nil table.pack = nil on_message = nil setmetatable(_G, { __index = error })");
  const api = await fetch(`http://127.0.0.1:${node.apiPort}/v1/nodes`);
  expect(api.status).toBe(200);
  expect(await lua.run("return 'fine'")).toEqual(["fine"]);
});

test("mix.http reaches no files, and mix.log writes nowhere else", async () => {
  for (const url of ["file:///etc/passwd", "data:,x", "ftp://127.0.0.1/", "blob:x", "javascript:1", "//x", "unix:/x"]) {
    const [response, err] = await lua.run(`return mix.http.request("GET", "${url}")`);
    expect([response, typeof err]).toEqual([null, "string"]);
  }
  await lua.run(`mix.log(mix.WARN, "line one\\nERROR forged")`);
  await node.line(/line one/);
  expect(node.lines.filter((line) => line.startsWith("ERROR forged"))).toEqual([]);
  expect(existsSync(join(node.folder, "forged"))).toBe(false);
});

test("nothing of all this was left uncaught", () => {
  expect(node.lines.filter((line) => line.includes("uncaught"))).toEqual([]);
});
