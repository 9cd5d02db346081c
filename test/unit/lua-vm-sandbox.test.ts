import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, Scripted } from "../support/scripted.ts";

const folder = mkdtempSync(join(tmpdir(), "connmix-sandbox-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  "io",
  "debug",
  "os.execute",
  "os.exit",
  "os.remove",
  "os.rename",
  "os.getenv",
  "os.tmpname",
  "package.loadlib",
  "package.searchers",
  "package.cpath",
  "dofile",
  "loadfile",
  "string.dump",
  "js",
  "fengari",
  "process",
])("there is no %s", (name) => {
  expect(run(`send(${name})`)).toEqual(["nil"]);
});

test("what is kept of os works", () => {
  expect(run("send(os.time() > 1e9, type(os.date()), os.clock() >= 0, os.difftime(2, 1))")).toEqual([
    "true string true 1",
  ]);
});

test("byte code is refused however it is asked for", () => {
  expect(run('send(load("\\27Lua"))')[0]).toStartWith("nil ");
  expect(run('send(load("\\27Lua", "x", "b"))')).toEqual(["nil only source can be loaded, not byte code"]);
  expect(run('send(load(function() return nil end, "x", "bt"))')[0]).toStartWith("function");
});

test("load takes a name and an environment", () => {
  expect(run('send(load("return x", "chunk", "t", { x = 5 })())')).toEqual(["5"]);
  for (const args of ['"return x"', '"return x", "chunk"', '"return x", "chunk", "t"']) {
    expect(run(`x = 6 send(load(${args})())`)).toEqual(["6"]);
  }
  expect(run('send(load("x =", "=chunk"))')).toEqual(["nil chunk:1: unexpected symbol near <eof>"]);
  expect(run('local n = 0 send(load(function() n = n + 1 return ({ "return ", "7" })[n] end)())')).toEqual(["7"]);
});

test("metatables of strings and host objects are closed", () => {
  expect(run('send(getmetatable(""), getmetatable(conn), pcall(setmetatable, {}, 5))')[0]).toStartWith(
    "false false false",
  );
  expect(run("send(pcall(function() conn.x = 1 end))")[0]).toStartWith("false");
  expect(run("send(conn.constructor, conn.__proto__, conn.prototype)")).toEqual(["nil nil nil"]);
});

test("methods refuse other objects", () => {
  expect(run("send(pcall(conn.send, {}, 'x'))")[0]).toContain("connection expected");
  expect(run("send(pcall(conn.send, mix.null, 'x'))")[0]).toContain("connection expected");
});

test("names like those of JavaScript objects are ordinary", () => {
  expect(
    run(
      "local t = {} send(t.constructor, t.__proto__, t.toString) constructor = 1 t.__proto__ = 2 send(constructor, t.__proto__)",
    ),
  ).toEqual(["nil nil nil", "1 2"]);
  expect(
    run('conn:set_context({ ["__proto__"] = 1, a = 2 }) send(conn:context_value("__proto__"), conn:context().a)'),
  ).toEqual(["1 2"]);
});

test("require finds modules below the entry's folder, the libraries and the built-in ones", () => {
  const root = join(folder, "modules");
  const library = join(folder, "library");
  mkdirSync(join(root, "deep"), { recursive: true });
  mkdirSync(library);
  const entry = join(root, "entry.lua");
  writeFileSync(join(root, "deep", "one.lua"), "return { name = ..., n = 1 }");
  writeFileSync(join(library, "two.lua"), "two_global = 2");
  writeFileSync(
    entry,
    `local one, two = require("deep.one"), require("two")
     function on_message(msg, conn)
       conn:send(one.name .. one.n .. tostring(two) .. two_global .. require("built.in").x .. tostring(require("deep.one") == one))
     end`,
  );
  const scripted = new Scripted(
    { path: entry },
    { libraryFolders: [library], builtins: { "lua/built/in.lua": "return { x = 9 }" } },
  );
  const connection = scripted.connect();
  connection.message("go");
  expect(connection.texts).toEqual(["deep.one1true29true"]);
});

test("require goes nowhere else", () => {
  const root = join(folder, "inside");
  const outside = join(folder, "outside");
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, "secret.lua"), "return 'secret'");
  symlinkSync(join(outside, "secret.lua"), join(root, "link.lua"));
  symlinkSync(outside, join(root, "linked"));
  const entry = join(root, "entry.lua");
  writeFileSync(
    entry,
    `function on_message(msg, conn)
       local ok, err = pcall(require, msg.data)
       conn:send(tostring(ok) .. " " .. tostring(err))
     end`,
  );
  const connection = new Scripted({ path: entry }).connect();
  const names = [
    "../outside/secret",
    "..outside.secret",
    "link",
    "linked.secret",
    "/etc/passwd",
    `${outside}/secret`,
    "a\0b",
    "",
  ];
  for (const name of names) connection.message(name);
  expect(connection.texts).toHaveLength(names.length);
  for (const text of connection.texts) expect(text).toContain("not found");
});

test("a byte order mark and a first line with # are no part of a script", () => {
  const root = join(folder, "preamble");
  mkdirSync(root);
  writeFileSync(join(root, "marked.lua"), "\ufeff#!/usr/bin/lua\r\nreturn 'marked'");
  const entry = join(root, "entry.lua");
  writeFileSync(
    entry,
    "\ufefflocal name = require('marked')\nfunction on_message(msg, conn) conn:send(name) error('x') end",
  );
  const scripted = new Scripted({ path: entry });
  const connection = scripted.connect();
  connection.message("go");
  expect(connection.texts).toEqual(["marked"]);
  expect(scripted.log[0]).toContain(`${entry}:2: x`);
  writeFileSync(join(root, "hash.lua"), "#!/usr/bin/lua\nfunction on_message() error('line 2') end");
  const hash = new Scripted({ path: join(root, "hash.lua") });
  hash.connect().message("go");
  expect(hash.log[0]).toContain("hash.lua:2: line 2");
});

test("errors of modules name their own file and line", () => {
  const root = join(folder, "broken");
  mkdirSync(root);
  writeFileSync(join(root, "bad.lua"), "local x =\n\nend");
  writeFileSync(join(root, "loop.lua"), 'return require("loop")');
  writeFileSync(join(root, "fails.lua"), "local t = nil\nreturn t.x");
  const entry = join(root, "entry.lua");
  writeFileSync(entry, "function on_message(msg, conn) local _, err = pcall(require, msg.data) conn:send(err) end");
  const connection = new Scripted({ path: entry }).connect();
  for (const name of ["bad", "loop", "fails", "fails"]) connection.message(name);
  const [bad, loop, fails, again] = connection.texts;
  expect(bad).toContain(`${join(root, "bad.lua")}:3:`);
  expect(loop).toContain("module 'loop' requires itself");
  expect(fails).toContain(`${join(root, "fails.lua")}:2: attempt to index a nil value`);
  expect(again).toBe(fails!);
});
