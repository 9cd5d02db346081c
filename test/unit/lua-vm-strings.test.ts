import { expect, test } from "bun:test";
import { run } from "../support/scripted.ts";

/** What each call answers, from the reference manual and PUC-Rio's interpreter. */
const CALLS: [call: string, answer: string][] = [
  ['("hello world"):find("o w")', "5 7"],
  ['("hello"):find("l", 1, true)', "3 3"],
  ['("a.b"):find(".", 2, true)', "2 2"],
  ['("abc"):find("b", -1)', "nil"],
  ['("abc"):find("", 10)', "nil"],
  ['("abc"):find("", 4)', "4 3"],
  ['("abc"):find("x*")', "1 0"],
  ['("THE (quick) fox"):find("%((%a+)%)")', "5 11 quick"],
  ['("hello"):match("(h)(.)()")', "h e 3"],
  ['("  trim "):match("^%s*(.-)%s*$") .. "|"', "trim|"],
  ['("key = value"):match("^(%w+)%s*=%s*(%w+)$")', "key value"],
  ['("f(a(b)c)d"):match("%b()")', "(a(b)c)"],
  ['("THE (quick) fox"):gsub("%f[%a]%a+", string.lower)', "the (quick) fox 3"],
  ['("[[x]]"):match("%[(=*)%[(.-)%]%1%]")', " x"],
  ['("2024-01-02"):match("^(%d+)-(%d+)-(%d+)$")', "2024 01 02"],
  ['("abc"):gsub("%w", "%0%0")', "aabbcc 3"],
  ['("abc"):gsub("", "-")', "-a-b-c- 4"],
  ['("hello world"):gsub("o", "0", 1)', "hell0 world 1"],
  ['("$name is $age"):gsub("%$(%w+)", { name = "Ada", age = 36 })', "Ada is 36 2"],
  ['("$name $gone"):gsub("%$(%w+)", { name = "Ada" })', "Ada $gone 2"],
  ['("abc"):gsub("b", function() return false end)', "abc 1"],
  ['("abc"):gsub("b", "%%")', "a%c 1"],
  ['("abc abc"):gsub("^abc", "x")', "x abc 1"],
  ['("x-y_z"):gsub("[^%w]", "")', "xyz 2"],
  ['("a]b"):gsub("[]]", "x")', "axb 1"],
  ['("a-z"):gsub("[a%-]", "x")', "xxz 2"],
  ['("a,b,,c"):gsub(",", ";")', "a;b;;c 3"],
  ['("\\0a\\0"):gsub("%z", "0")', "0a0 2"],
  ['("äöü"):gsub("[\\128-\\255]", "?")', "?????? 6"],
  ['("abc"):rep(3, ",")', "abc,abc,abc"],
  ['("abc"):rep(0)', ""],
  ['("abc"):rep(-1)', ""],
  ['("a"):rep(5)', "aaaaa"],
  ['table.concat({ 1, "b", 3.5 }, "-")', "1-b-3.5"],
  ['table.concat({ 1, 2, 3 }, ", ", 2, 3)', "2, 3"],
  ["table.concat({})", ""],
  ["(function() local t = { 3, -1, 2.5, 10 } table.sort(t) return table.concat(t, ' ') end)()", "-1 2.5 3 10"],
  [
    '(function() local t = { "b", "a\\255", "a", "B", "é" } table.sort(t) return table.concat(t, " ") end)()',
    "B a a\ufffd b é",
  ],
  [
    "(function() local t = { 1, 2, 3 } table.sort(t, function(a, b) return a > b end) return table.concat(t) end)()",
    "321",
  ],
  [
    "(function() local m = { __lt = function(a, b) return a.n < b.n end } local t = {} for i = 1, 3 do t[i] = setmetatable({ n = -i }, m) end table.sort(t) return t[1].n end)()",
    "-3",
  ],
  [
    "(function() local t = setmetatable({}, { __index = { 2, 1 }, __len = function() return 2 end }) table.sort(t) return rawget(t, 1), t[2] end)()",
    "1 2",
  ],
  ['select(2, pcall(table.sort, { 3, 1, "x" }))', "attempt to compare string with number"],
  ["select(2, pcall(table.sort, {}, 5))", "bad argument #2 to 'table.sort' (function expected, got number)"],
  ["table.concat(table.move({ 1, 2, 3 }, 1, 3, 2)), #table.move({ 1, 2 }, 1, 2, 3, {})", "1123 0"],
  [
    "select(2, pcall(table.move, {}, 1, 1e9, 2))",
    "bad argument #3 to 'table.move' (too many elements to move (at most 4194304))",
  ],
  ['select(2, pcall(table.move, {}, "x", 1, 2))', "bad argument #2 to 'table.move' (number expected, got string)"],
  [
    "select(2, pcall(string.char, 65, 256))",
    "bad argument #2 to 'string.char' (value out of range (0 to 255 expected, got 256))",
  ],
  ["pcall(string.rep)", "false bad argument #1 to 'string.rep' (string expected, got no value)"],
  ['select(2, pcall(string.find, "a", "[a"))', "malformed pattern (missing ']')"],
  ['select(2, pcall(string.find, "a", "%"))', "malformed pattern (ends with '%')"],
  ['select(2, pcall(string.match, "a", "(a"))', "unfinished capture"],
  ['select(2, pcall(string.gsub, "a", "a", "%2"))', "invalid capture index %2"],
  ["select(2, pcall(table.concat, { {} }))", "invalid value (table) at index 1 in table for 'concat'"],
  [
    '(function() local s = "" for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do s = s .. k .. v end return s end)()',
    "a1b2",
  ],
  ['(function() local n = 0 for _ in ("abc"):gmatch("") do n = n + 1 end return n end)()', "4"],
  ["math.pow(2, 10), math.ldexp(0.5, 3), math.log10(1000), math.frexp(8)", "1024 4 3 0.5 4"],
  ["table.getn({ 1, 2 }), table.maxn({ [7] = 1 }), unpack({ 1, 2 })", "2 7 1 2"],
  ['loadstring("return 1 + 1")(), (string.gfind("ab", "%w")())', "2 a"],
];

test.each(CALLS)("%s", (call, answer) => {
  expect(run(`send(${call})`)).toEqual([answer]);
});
