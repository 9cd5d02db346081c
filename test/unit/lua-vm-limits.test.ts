import { expect, test } from "bun:test";
import { Scripted } from "../support/scripted.ts";

const LOADER = `function on_message(msg, conn)
  if msg.data == "echo" then conn:send("echo") return end
  local f, err = load(msg.data)
  if not f then error(err) end
  f(conn)
end`;

/** Runs a chunk that has to be stopped; answers what was logged and whether other callbacks go on. */
function stopped(chunk: string, limit = 100): { log: string; milliseconds: number } {
  const scripted = new Scripted(LOADER, { maxExecTime: () => limit });
  const [bad, good] = [scripted.connect(), scripted.connect()];
  const started = performance.now();
  bad.message(chunk);
  const milliseconds = performance.now() - started;
  for (const connection of [bad, good]) {
    connection.message("echo");
    expect(connection.texts).toEqual(["echo"]);
    expect(connection.closedWith).toBeUndefined();
  }
  expect(scripted.log).toHaveLength(1);
  return { log: scripted.log[0]!, milliseconds };
}

test.each([
  "while true do end",
  "while true do pcall(function() while true do end end) end",
  "while true do xpcall(function() while true do end end, function() while true do end end) end",
  "while true do coroutine.wrap(function() while true do end end)() end",
  "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
  "while true do pcall(error) end",
  "pcall(error) while true do end",
  "local function f() return f() end f()",
  "while true do load(function() while true do end end) end",
  "while true do pcall(table.sort, { 3, 2, 1 }, function() while true do end end) end",
  "while true do pcall(string.gsub, 'x', 'x', function() while true do end end) end",
  "local t = setmetatable({}, { __index = function() while true do end end }) while true do pcall(function() return t.x end) end",
  "while true do pcall(require, 'nothing') end",
  "goto again ::again:: goto again",
  "local s = ('x'):rep(900000) while true do local t = s .. 'a' end",
  "local f = setmetatable({}, { __call = function(self) return self() end }) f()",
  '("a"):rep(100000):find(("a*"):rep(30) .. "b")',
  '("a"):rep(100000):gsub(("a-"):rep(20) .. "b", "")',
  '("("):rep(100000):find(("%b()"):rep(2))',
  'mix.str_split(("x,"):rep(8 * 1024 * 1024), ",")',
  'table.concat(setmetatable({}, { __index = rawlen }), "", 1, 1e12)',
  "local t = { 1 } for i = 1, 40 do t = { t, t } end mix.json_encode(t)",
  "local t = { a = 1 } for i = 1, 40 do t = { a = t, b = t } end pcall(mix.queue.push, 'topic', t)",
  "local t = { 1 } for i = 1, 40 do t = { t, t } end (...):set_context_value('key', t)",
  "local t = { 1 } for i = 1, 40 do t = { t, t } end while true do pcall((...).set_context, (...), { key = t }) end",
  'local s = "[" .. ("[],"):rep(349000) .. "0]" while true do mix.json_decode(s) end',
])("out of time: %s", (chunk) => {
  const { log, milliseconds } = stopped(chunk);
  expect(log).toMatch(/ran longer than 100 ms|pattern too complex/);
  // Generous, for busy machines: without a limit it would take for ever.
  expect(milliseconds).toBeLessThan(5000);
});

test("out of time in a host function, however many slots of the stack are in use", () => {
  for (let depth = 0; depth < 24; depth++) {
    const chunk = `local t = {} for i = 1, 40 do t = { t, t } end
      local function f(n) if n == 0 then return (mix.json_encode(t)) end return (f(n - 1)) end f(${depth})`;
    expect(stopped(chunk, 5).log).toContain("ran longer than 5 ms");
  }
});

test.each([
  ["local function f() return 1 + f() end f()", "stack overflow"],
  [
    "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k .. 'x'] end return t.x",
    "overflow",
  ],
  ['("x"):rep(1e9)', "resulting string too large"],
  ['local t = {} for i = 1, 100 do t[i] = ("x"):rep(1e6) end table.concat(t)', "resulting string too large"],
  ['("x"):rep(1e6):gsub("x", ("y"):rep(1000))', "resulting string too large"],
  [
    'string.format(("%s"):rep(90), table.unpack((function() local t, s = {}, ("x"):rep(1e6) for i = 1, 90 do t[i] = s end return t end)()))',
    "resulting string too large",
  ],
  [
    'local t, s = {}, ("x"):rep(1e6) for i = 1, 1000 do t[i] = s end assert(mix.json_encode(t))',
    "its strings are longer than 67108864 characters together",
  ],
  ['local s = "x" while true do s = s .. s end', "MiB of memory|string too large"],
  ["local t = {} for i = 1, 1e8 do t[i] = {} end", "MiB of memory"],
  ['local t = {} for i = 1, 1e5 do t[i] = ("x"):rep(1000) .. i end', "MiB of memory"],
  ['local t = {} while true do pcall(function() t[#t + 1] = ("x"):rep(1e6) end) end', "MiB of memory"],
])(
  "too large: %s",
  (chunk, reason) => {
    expect(stopped(chunk, 30_000).log).toMatch(new RegExp(reason));
  },
  60_000,
);

test("garbage alone does not stop a script", () => {
  const scripted = new Scripted(LOADER, { maxExecTime: () => 30_000 });
  const connection = scripted.connect();
  connection.message('local s = "" for i = 1, 1500 do s = s .. ("y"):rep(100) end (...):send(tostring(#s))');
  expect(scripted.log).toEqual([]);
  expect(connection.texts).toEqual(["150000"]);
});

test("a limit that changes takes effect at the next callback", () => {
  let limit = 20_000;
  const scripted = new Scripted(LOADER, { maxExecTime: () => limit });
  const connection = scripted.connect();
  limit = 50;
  connection.message("while true do end");
  expect(scripted.log[0]).toContain("longer than 50 ms");
  expect(scripted.script.stats.callbacks.on_message).toMatchObject({ count: 1, errors: 1, timeouts: 1 });
});

test("the entry and init have limits too", () => {
  const limit = { maxExecTime: () => 50 };
  expect(() => new Scripted("while true do end", limit)).toThrow("lua/test.lua:1: stopped: it ran longer than 50 ms");
  expect(() => new Scripted("function on_message() end function init()\nwhile true do end end", limit)).toThrow(
    "lua/test.lua:2:",
  );
});
