import { expect, test } from "bun:test";
import { run } from "../support/scripted.ts";

/** What each call answers in a time zone, from PUC-Rio's interpreter with C's strftime. */
const CALLS: [zone: string, call: string, answer: string][] = [
  ["UTC", 'os.date("!%Y-%m-%dT%H:%M:%SZ", 1795300977.123)', "2026-11-21T22:42:57Z"],
  ["UTC", 'os.date("%c", 0)', "Thu Jan  1 00:00:00 1970"],
  [
    "UTC",
    'os.date("%x %X %p %A %B %j %U %W %V %G %w %u %y %%", 0)',
    "01/01/70 00:00:00 AM Thursday January 001 00 00 01 1970 4 4 70 %",
  ],
  ["UTC", 'os.date("%Y", 2^31), os.date("%Y", 4e9), os.date("%Y-%m-%d", -1)', "2038 2096 1969-12-31"],
  ["UTC", 'os.date("%G-W%V", 1609459200), os.date("%Ex|%Om", 0)', "2020-W53 01/01/70|01"],
  ["UTC", 'os.date("*t", 0).yday, os.date("!*t", 86399).hour, os.date("*t", 0).isdst', "1 23 false"],
  ["UTC", "os.time({ year = 2040, month = 1, day = 1 })", "2209032000"],
  ["UTC", "os.time({ year = 2100, month = 14, day = -3, hour = 0 })", "4136313600"],
  [
    "UTC",
    "(function() local t = { year = 2024, month = 13, day = 1 } os.time(t) return t.year, t.month, t.wday end)()",
    "2025 1 4",
  ],
  [
    "UTC",
    "os.difftime(5.5, 2), os.difftime(mix.time(), 0) > 1e9, os.clock() >= 0, os.time() > 1e9",
    "3.5 true true true",
  ],
  ["America/New_York", 'os.date("%Y-%m-%d %H:%M %z", 1720000000)', "2024-07-03 05:46 -0400"],
  ["America/New_York", 'os.date("!%H:%M %z %Z", 1720000000), os.date("!*t", 1720000000).hour', "09:46 +0000 GMT 9"],
  ["America/New_York", "os.time({ year = 2024, month = 7, day = 3, hour = 5, min = 46, sec = 40 })", "1720000000"],
  [
    "UTC",
    'select(2, pcall(function() local _ = os.date("%Q") end))',
    "lua/test.lua:6: bad argument #1 to 'date' (invalid conversion specifier '%Q')",
  ],
  [
    "UTC",
    'select(2, pcall(function() local _ = os.date("%") end))',
    "lua/test.lua:6: bad argument #1 to 'date' (invalid conversion specifier '%')",
  ],
  [
    "UTC",
    'select(2, pcall(function() local _ = os.date("%c", "x") end))',
    "lua/test.lua:6: bad argument #2 to 'date' (number expected, got string)",
  ],
  [
    "UTC",
    'select(2, pcall(function() local _ = os.date("%c", 1/0) end))',
    "lua/test.lua:6: bad argument #2 to 'date' (time cannot be represented as a date)",
  ],
  ["UTC", "select(2, pcall(os.time, { year = 2024 }))", "field 'month' missing in date table"],
  ["UTC", "select(2, pcall(os.time, { year = 2024, month = 1, day = 1.5 }))", "field 'day' is not an integer"],
  [
    "UTC",
    "select(2, pcall(function() local _ = os.time(5) end))",
    "lua/test.lua:6: bad argument #1 to 'time' (table expected, got number)",
  ],
];

test.each(CALLS)("%s: %s", (zone, call, answer) => {
  const before = process.env.TZ;
  process.env.TZ = zone;
  try {
    expect(run(`send(${call})`)).toEqual([answer]);
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
});

test("math goes up to 2^53", () => {
  expect(run("send(math.maxinteger == 2^53 - 1, math.mininteger == -math.maxinteger)")).toEqual(["true true"]);
  expect(run("send(math.tointeger(1795300977123), math.tointeger(4294967295), math.tointeger(3.5))")).toEqual([
    "1795300977123 4294967295 nil",
  ]);
  expect(run("local n = math.random(2^40, 2^41) send(n >= 2^40 and n <= 2^41 and n % 1 == 0)")).toEqual(["true"]);
  expect(run("local n = math.random(3) send(n >= 1 and n <= 3, math.random(5, 5), math.random() < 1)")).toEqual([
    "true 5 true",
  ]);
  expect(run("send(select(2, pcall(math.random, 2, 1)))")).toEqual([
    "bad argument #2 to 'math.random' (interval is empty)",
  ]);
  expect(run("send(select(2, pcall(math.random, 1.5)))")[0]).toContain("no integer representation");
});

test("a seed repeats the numbers in its own VM only", () => {
  const seeded = "math.randomseed(42) local a, b = math.random(), math.random(1, 1e6) math.randomseed(42)";
  expect(run(`${seeded} send(a == math.random(), b == math.random(1, 1e6), a ~= b)`)).toEqual(["true true true"]);
  expect(run("send(math.random())")).not.toEqual(run("send(math.random())"));
});
