import { expect, test } from "bun:test";
import { createState } from "../../src/lua/fengari.ts";
import { run } from "../support/scripted.ts";

test.each<[what: string, body: string, sent: string[]]>([
  [
    "functions that share what they have captured",
    `local function counter() local n = 0 return function() n = n + 1 return n end, function() return n end end
     local up, now = counter() local up2, now2 = counter() up() up() up2() send(now(), now2())`,
    ["2 1"],
  ],
  [
    "every turn of a loop has variables of its own, however it ends",
    `local f = {} for i = 1, 3 do local j = i * 10 f[i] = function() j = j + 1 return j end end
     send(f[1](), f[2](), f[3](), f[1]())
     local g, i = {}, 0 while i < 3 do i = i + 1 local z = i g[i] = function() z = z + 10 return z end end
     send(g[1](), g[2](), g[3](), g[1]())
     local h for i = 1, 10 do local y = i h = function() y = y + 1 return y end if i == 3 then break end end send(h(), h())
     local k = 1 local t = {} ::again:: local x = k t[k] = function() x = x + 100 return x end k = k + 1 if k <= 3 then goto again end
     send(t[1](), t[2](), t[3](), t[1]())`,
    ["11 21 31 12", "11 12 13 21", "4 5", "101 102 103 201"],
  ],
  [
    "what was captured outlives an error and the calls after it",
    `local kept local function fail() local v = 1 kept = function() v = v + 1 return v end local a, b, c = 1, 2, 3 error("no", 0) end
     send(pcall(fail)) local function other() local a, b, c, d, e, f = 9, 9, 9, 9, 9, 9 return a end other() other()
     send(kept(), kept()) other() send(kept())
     local co = coroutine.wrap(function() local u = 5 coroutine.yield(function() u = u + 1 return u end) u = u + 100 coroutine.yield() error("no") end)
     local f = co() send(f()) co() send(f()) send((pcall(co))) send(f())`,
    ["false no", "2 3", "4", "6", "107", "false", "108"],
  ],
  [
    "any number of arguments and results",
    `local function va(...) local x, y = ... return select("#", ...), x, y, ... end
     send(va()) send(va(1)) send(va(1, nil)) send(va(1, 2, 3, nil))
     local function two(a, b, ...) return a, b, select("#", ...), ... end
     send(two()) send(two(1)) send(two(1, 2, 3, nil, 5)) send((two(7, 8, 9)))
     local t = { va(1, 2, 3) } send(#t, select("#", table.unpack({}, 1, 300)), select(-1, table.unpack({ 1, 2, 3 })))
     local many = {} for i = 1, 120 do many[i] = i end local copy = { 0, table.unpack(many) } send(#copy, copy[121])
     local a, b, c = (function() return 1 end)() send(a, b, c)`,
    ["0 nil nil", "1 1 nil 1", "2 1 nil 1 nil", "4 1 2 1 2 3 nil", "nil nil 0", "1 nil 0", "1 2 3 3 nil 5", "7"].concat(
      ["6 300 3", "121 120", "1 nil nil"],
    ),
  ],
  [
    "tail calls take no room, through __call neither",
    `local function count(n, sum) if n == 0 then return sum end return count(n - 1, sum + 1) end send(count(300000, 0))
     local callable = setmetatable({}, { __call = function(self, n, ...) if n == 0 then return "done", ... end return self(n - 1, ...) end })
     send(callable(300000, "x", "y"))
     local function captured(x) local f = function() x = x + 1 return x end return (function(...) return ... end)(f, f(), x) end
     local f, v, w = captured(10) send(v, w, f(), f())`,
    ["300000", "done x y", "11 11 12 13"],
  ],
  [
    "numbers",
    `send("10" + 5, "3" * "4", 10 / 2, 7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, 5.5 % 2, 2 ^ 10, "0x10" + 0, -"2")
     send(3 & 5, 3 | 8, 3 ~ 5, 1 << 32, 1 << 4, 256 >> 4, ~0, "7" & 3, 0xffffffff & 0xff, 0xffffffff | 0, 1 << -1, 2 >> -1)
     send(1 < 2, "a" < "b", "a" <= "a", 1 == 1.0, "1" == 1, nil == false, 2 ^ 52, -0.0, 1 / 0)
     local t = {} for i = 3, 1, -1 do t[#t + 1] = i end for i = 1, 2, 0.5 do t[#t + 1] = i end for i = "1", "2" do t[#t + 1] = i end
     for i = 1, 0 do t[#t + 1] = "never" end send(table.concat(t, " "))`,
    [
      "15 12 5 3 -4 1 2 -2 1.5 1024 16 -2",
      "1 11 6 0 16 16 -1 3 255 -1 0 4",
      "true true true true false false 4503599627370496 -0 inf",
      "3 2 1 1 1.5 2 1 2",
    ],
  ],
  [
    "strings put together",
    `local s = "" for i = 1, 10 do s = s .. i .. "," end send(s, "" .. 5, 1 .. 2, 1.5 .. "|", -0.0 .. "")
     send(#("é" .. "\\xff"), ("\\xc3" .. "\\xa9") == "é", "a" .. "" == "a", ("").."" == "")`,
    ["1,2,3,4,5,6,7,8,9,10, 5 12 1.5| -0", "3 true true true"],
  ],
  [
    "metamethods",
    `local mt = { __len = function() return 42 end, __unm = function() return "unm" end, __bnot = function() return "bnot" end,
       __eq = function() return true end, __lt = function() return true end, __le = function() return false end,
       __index = function(_, k) return k .. "!" end }
     for _, name in ipairs({ "add", "sub", "mul", "div", "mod", "pow", "idiv", "band", "bor", "bxor", "shl", "shr", "concat" }) do
       mt["__" .. name] = function(a, b) return name .. (type(a) == "table" and "<" or ">") end
     end
     local a, b = setmetatable({}, mt), setmetatable({}, mt)
     send(a + 1, 1 - a, a * a, 1 / a, a % 2, 2 ^ a, a // 1, 1 & a, a | 1, 1 ~ a, a << 1, 1 >> a, a .. "x", 1 .. a, "x" .. "y" .. a)
     send(-a, ~a, #a, a == b, a ~= b, a < b, a <= b, a > b, a >= b, a.foo, a[1])
     local log = setmetatable({}, { __newindex = function(t, k, v) rawset(t, k, v * 2) end }) log.x = 1 log.x = 5 log.y = 2 send(log.x, log.y)`,
    [
      "add< sub> mul< div> mod< pow> idiv< band> bor< bxor> shl< shr> concat< concat> xconcat>",
      "unm bnot 42 true false true false true false foo! 1!",
      "5 4",
    ],
  ],
  [
    "fields that move, go and come back",
    `local p = { greet = function(self) return "hi " .. self.name end } p.__index = p local o = setmetatable({ name = "n" }, p)
     local function greet() return o:greet() end send(greet()) p.greet = function() return "new" end send(greet())
     p.greet = nil send((pcall(greet))) o.greet = function() return "own" end send(greet())
     local d = { a = 1, b = 2, c = 3 } local function read() return d.c end local function write(v) d.c = v end
     send(read()) d.a = nil d.b = nil for i = 1, 20 do d["n" .. i] = i end send(read()) write(nil) send(read())
     for i = 1, 40 do d["m" .. i] = i end write(7) send(read(), rawget(d, "c"))
     local t = {} for _, r in ipairs({ { a = 1, b = 2 }, { b = 2, a = 1 }, { c = 1 }, {}, { x = 1, y = 2, b = 4 } }) do t[#t + 1] = tostring(r.b) end
     send(table.concat(t, " "))`,
    ["hi n", "new", "false", "own", "3", "3", "nil", "7 7", "2 2 nil nil 4"],
  ],
  [
    "yields out of pcall, metamethods and loops",
    `local inner = coroutine.wrap(function()
       local ok, err = pcall(function() coroutine.yield("in pcall") error("boom", 0) end) coroutine.yield(ok, err)
       local o = setmetatable({}, { __index = function(_, k) return coroutine.yield(k) end, __add = function() return coroutine.yield("add") end,
         __concat = function() return coroutine.yield("cat") end, __lt = function() return coroutine.yield("lt") end,
         __newindex = function(_, k) coroutine.yield("set " .. k) end, __call = function(_, x) return coroutine.yield("call " .. x) end })
       local r = { o.key, o + 1, "a" .. "b" .. o .. "c", o < o } o.z = 1 r[5] = o(5) for k in coroutine.yield do r[6] = k break end
       for i = 1, 6 do r[i] = tostring(r[i]) end return table.concat(r, ",")
     end)
     for i = 1, 10 do send(inner(i)) end`,
    ["in pcall", "false boom", "key", "add", "cat", "lt", "set z", "call 5", "nil nil", "4,5,ab6,true,9,10"],
  ],
  [
    "deep recursion, and again after one that went too far",
    `local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end send(deep(5000), deep(5000))
     local function endless(n) return 1 + endless(n + 1) end local ok, err = pcall(endless, 1) send(ok, (err:match("stack overflow")))
     send(deep(5000))`,
    ["5000 5000", "false stack overflow", "5000"],
  ],
])("%s", (_, body, sent) => {
  expect(run(body)).toEqual(sent);
});

test.each([
  ["local q q.x = 1", "attempt to index a nil value (local 'q')"],
  ["return nothing.x", "attempt to index a nil value (global 'nothing')"],
  ["local t = {} t.a.b = 1", "attempt to index a nil value (field 'a')"],
  ["local s = 'x' s:none()", "attempt to call a nil value (method 'none')"],
  ["none()", "attempt to call a nil value (global 'none')"],
  ["local t = {} return t.f()", "attempt to call a nil value (field 'f')"],
  ["local l = 1 l()", "attempt to call a number value (local 'l')"],
  ["local n return n .. 'x'", "attempt to concatenate a nil value (local 'n')"],
  ["return 1 + {}", "attempt to perform arithmetic on a table value"],
  ["return 1.5 & 1", "number has no integer representation"],
  ["return 'a' | 1", "attempt to perform bitwise operation on a string value"],
  ["return 1 < 'x'", "attempt to compare number with string"],
  ["return {} <= {}", "attempt to compare two table values"],
  ["return #5", "attempt to get length of a number value"],
  ["for i = 1, 'x' do end", "'for' limit must be a number"],
  ["for i = 1, 2, {} do end", "'for' step must be a number"],
  ["for i = {}, 2 do end", "'for' initial value must be a number"],
  ["for k in 5 do end", "attempt to call a number value"],
])("the error of %s", (chunk, message) => {
  const [sent] = run(`send(select(2, pcall(load([[${chunk}]], "=c"))))`);
  expect(sent).toContain(message);
  expect(sent).toStartWith("c:1: ");
});

test("a thread at rest holds on to nothing that was on its stack", () => {
  const L = createState();
  const thread = L.newThread();
  expect(
    L.load(
      "local function inner(a, b) local c = a return b end return function(x) local y = x inner(y, { x }) end",
      "c",
    ),
  ).toBe("ok");
  L.call(0, 1);
  const fn = L.ref();
  const held: WeakRef<object>[] = [];
  for (let i = 0; i < 100; i++) {
    const value = { i };
    held.push(new WeakRef(value));
    thread.pushRef(fn);
    thread.pushLightUserdata(value);
    expect(thread.resume(1)).toBe("ok");
    thread.setTop(0);
  }
  // A new task: within one, weak references keep what they were asked for.
  return Bun.sleep(0).then(() => {
    Bun.gc(true);
    // The engine may find a few of them on its own stack.
    expect(held.filter((reference) => reference.deref() !== undefined).length).toBeLessThan(10);
    L.unref(fn);
  });
});

test.each([
  ["mix.json_decode, {}", "#1 to 'mix.json_decode' (string expected, got table)"],
  ["mix.queue.push", "#1 to 'mix.queue.push' (string expected, got no value)"],
  ["conn.send, conn, {}", "#2 to 'connection.send' (string expected, got table, which mix.json_encode makes a string)"],
  ["conn.context_value, 5", "#1 to 'connection.context_value' (connection expected: call it as conn:method())"],
  ["os.time, 5", "#1 to 'os.time' (table expected, got number)"],
  ["bit.band, 'x'", "#1 to 'bit.band' (number expected, got string)"],
  ["(function() return mix.md5 end)()", "#1 to 'mix.md5' (string expected, got no value)"],
])("an error names the function: pcall(%s)", (args, error) => {
  expect(run(`send(select(2, pcall(${args})))`)[0]).toEndWith(`bad argument ${error}`);
});
