import { expect, test } from "bun:test";
import { createState } from "../../src/lua/fengari.ts";
import { LuaString } from "../../src/lua/lua-string.ts";
import { run } from "../support/scripted.ts";

test("numbers are doubles that print as integers", () => {
  expect(run('send("room:" .. 10000000000, 2147483647 + 1, 1e15, 7 / 2, 6 / 2, -0.5)')).toEqual([
    "room:10000000000 2147483648 1e+15 3.5 3 -0.5".replace("1e+15", "1000000000000000"),
  ]);
  expect(run("send(2000000 * 1000000, 0xffffffff, 0x100000000, 2^53, 1e100, 1/3)")).toEqual([
    "2000000000000 4294967295 4294967296 9007199254740992 1e+100 0.33333333333333",
  ]);
  expect(run('send(1/0, -1/0, tonumber("0x10"), tonumber(" 12 "), tonumber("1e2x"), tonumber(""), "10" + 5)')).toEqual([
    "inf -inf 16 12 nil nil 15",
  ]);
  expect(run('send(string.format("%d %5d %s %x %%d", 3000000000, 2^40, 5, 255))')).toEqual([
    "3000000000 1099511627776 5 ff %d",
  ]);
  expect(run("send(7 // 2, -7 // 2, 7 % 3, -7 % 3, 5 % -3, 0xff & 0x0f, 1 << 4, ~0, 3 | 4)")).toEqual([
    "3 -4 1 2 -1 15 16 -1 7",
  ]);
  expect(run("send(math.type(1), math.type(1.5), math.type('1'), math.floor(3.7), math.tointeger(3.0))")).toEqual([
    "integer float nil 3 3",
  ]);
  expect(run("local n = 0 for i = 1, 3 do n = n .. i end for i = 10, 1, -4 do n = n .. ' ' .. i end send(n)")).toEqual([
    "0123 10 6 2",
  ]);
});

test("large whole numbers are the same text wherever they become one", () => {
  expect(run("send(2^53, -2^53, 2^53 + 2, 1234567890123456789, 2^63, 1e20, 1e21, 0.1 + 0.2)")).toEqual([
    "9007199254740992 -9007199254740992 9007199254740994 1234567890123456800 9223372036854776000 100000000000000000000 1e+21 0.3",
  ]);
  for (const number of ["2^53", "1234567890123456789", "2^63", "-1e20"]) {
    const [texts] = run(`
      local n = ${number}
      local key, value = mix.json_encode({ [n] = n }):match('"(.-)":(.*)}')
      send(tostring(n), n .. "", string.format("%s", n), table.concat({ n }), key, value)`);
    const different = new Set(texts!.split(" "));
    expect(different.size).toBe(1);
    expect(run(`send(tonumber("${[...different][0]}") == ${number})`)).toEqual(["true"]);
  }
});

test("strings with different bytes are different keys and order by byte", () => {
  expect(
    run('local t = { ["\\1\\35"] = "a" } send(t["\\18\\3"], t["\\1#"], "\\1" < "\\2", "Z" < "a", "\\200" > "a")'),
  ).toEqual(["nil a true true true"]);
  expect(run('send("é" == "\\195\\169", #"é", ("é"):byte(1, -1))')).toEqual(["true 2 195 169"]);
  expect(run('local t = { 5, "#5", [5] = "x", ["5"] = "y" } send(t[1], t[2], t[5], t["5"])')).toEqual(["5 #5 x y"]);
});

test("a string of text converts only when needed, both ways", () => {
  const fromText = new LuaString(undefined, "grüße");
  expect(fromText.strictText).toBe("grüße");
  expect(fromText.tsslen()).toBe(7);
  const fromBytes = new LuaString(new TextEncoder().encode("grüße"), undefined);
  expect(fromBytes.equals(fromText)).toBe(true);
  expect(fromBytes.key).toBe(fromText.key);
  expect(fromBytes.text).toBe("grüße");
  const malformed = new LuaString(new Uint8Array([0x61, 0xff]), undefined);
  expect(malformed.strictText).toBeUndefined();
  expect(malformed.text).toBe("a\ufffd");
  const long = new LuaString(new TextEncoder().encode("ü".repeat(5000)), undefined);
  expect(long.equals(new LuaString(undefined, "ü".repeat(5000)))).toBe(true);
  expect(long.equals(new LuaString(undefined, "ü".repeat(4999)))).toBe(false);
});

test("references keep values and are reused", () => {
  const L = createState();
  L.pushText("a");
  const a = L.ref();
  L.newTable();
  const b = L.ref();
  expect([L.pushRef(a), L.pushRef(b)]).toEqual(["string", "table"]);
  L.unref(a);
  L.pushText("c");
  expect(L.ref()).toBe(a);
  expect(L.getTop()).toBe(2);
});

/** The same operations on Lua's table and on a plain Map; a traversal and the length must agree. */
test("tables behave like a map under random operations", () => {
  let seed = 42;
  const random = (n: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return seed % n;
  };
  const L = createState();
  L.newTable();
  const model = new Map<string | number, number>();
  for (let step = 0; step < 20_000; step++) {
    // Phases that mostly add, mostly remove, or move a window along, as queues do.
    const phase = Math.floor(step / 2000) % 3;
    const integer = phase === 2 ? step % 2000 : random(60) - 5;
    const key = random(3) === 0 ? `k${random(40)}` : integer;
    const removes = phase === 1 ? random(3) > 0 : random(3) === 0;
    if (typeof key === "number") L.pushNumber(random(2) === 0 ? key : key + 0.0);
    else L.pushText(key);
    if (removes) {
      L.pushNil();
      model.delete(key);
    } else {
      L.pushNumber(step);
      model.set(key, step);
    }
    L.rawSet(1);
    if (step % 97 === 0) expect(contents(L)).toEqual(model);
  }
  expect(contents(L)).toEqual(model);
  const length = L.rawLength(1);
  expect(length === 0 || model.has(length)).toBe(true);
  expect(model.has(length + 1)).toBe(false);
});

function contents(L: ReturnType<typeof createState>): Map<string | number, number> {
  const found = new Map<string | number, number>();
  L.pushNil();
  while (L.next(1)) {
    const key = L.type(-2) === "number" ? L.toNumber(-2)! : L.toText(-2)!;
    expect(found.has(key)).toBe(false);
    found.set(key, L.toNumber(-1)!);
    L.pop();
  }
  return found;
}

test("a traversal may clear what it visits", () => {
  expect(
    run(
      "local t = {} for i = 1, 50 do t[i] = i t['k' .. i] = i end local n = 0 for k in pairs(t) do t[k] = nil n = n + 1 end send(n, next(t), #t)",
    ),
  ).toEqual(["100 nil 0"]);
});

test("a queue that moves through the indices stays right", () => {
  const source = `
    local q, head = {}, 1
    for i = 1, 5000 do
      q[i] = i
      if i > 10 then q[head] = nil head = head + 1 end
    end
    local n = 0
    for _ in pairs(q) do n = n + 1 end
    send(head, q[head], q[head - 1], n)`;
  expect(run(source)).toEqual(["4991 4991 nil 10"]);
});
