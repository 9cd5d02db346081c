import { expect, test } from "bun:test";
import { installBytes } from "../../src/lua/mix/bytes.ts";
import { installPhpPack } from "../../src/lua/mix/php-pack.ts";
import { installStr } from "../../src/lua/mix/str.ts";
import { evaluate, stateWith } from "../support/library.ts";

const L = stateWith(installBytes, (state) => installStr(state, () => {}), installPhpPack);

test.each([
  [`"a,b,,c", ","`, ["a", "b", "", "c"]],
  [`"abc", ","`, ["abc"]],
  [`"", ","`, [""]],
  [`"a--b--", "--"`, ["a", "b", ""]],
  [`"a.b", "."`, ["a", "b"]],
  [`"aé你😀", ""`, ["a", "é", "你", "😀"]],
  [`"a\\0b", "\\0"`, ["a", "b"]],
  [`1234, 2`, ["1", "34"]],
])("str_split(%s)", (args, expected) => {
  expect(evaluate(L, `return mix.str_split(${args})`)).toEqual([expected]);
});

test("bytes_tostring joins byte values", () => {
  expect(evaluate(L, "return mix.bytes_tostring({ 104, 105, 0, 255 })")).toEqual([Buffer.from([104, 105, 0, 255])]);
  expect(evaluate(L, "return mix.bytes_tostring({})")).toEqual([""]);
  for (const bad of ["256", "-1", "1.5", "'x'"]) {
    expect(evaluate(L, `return mix.bytes_tostring({ 1, ${bad} })`)).toEqual([
      undefined,
      "bytes_tostring: element 2 is not an integer from 0 to 255",
    ]);
  }
});

test("bytes_xor unmasks the example of RFC 6455 section 5.7", () => {
  expect(evaluate(L, `return mix.bytes_xor("\\x7f\\x9f\\x4d\\x51\\x58", "\\x37\\xfa\\x21\\x3d")`)).toEqual(["Hello"]);
  expect(evaluate(L, `return mix.bytes_xor("", "k"), mix.bytes_xor("\\1\\2\\3", "\\1")`)).toEqual([
    "",
    "\0\u0003\u0002",
  ]);
  for (const length of [1, 3, 4, 5, 7, 8, 1000, 1001]) {
    for (const key of ["k", "abc", "wxyz", "vwxyz"]) {
      const plain = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 0x7f));
      const expected = plain.map((byte, i) => byte ^ key.charCodeAt(i % key.length));
      const bytes = `mix.bytes_tostring({ ${[...plain].join(", ")} })`;
      expect(evaluate(L, `return mix.bytes_xor(${bytes}, "${key}")`)).toEqual([Buffer.from(expected).toString()]);
    }
  }
  expect(() => evaluate(L, `mix.bytes_xor("abc", "")`)).toThrow("a key of at least one byte expected");
});

test("php_pack and php_unpack speak Lua", () => {
  expect(evaluate(L, `return mix.php_pack("nvc*", 0x1234, 0x5678, 65, 66)`)).toEqual(["\u00124xVAB"]);
  expect(evaluate(L, `return mix.php_unpack("nlen/a*data", "\\0\\5hello")`)).toEqual([{ len: 5, data: "hello" }]);
  expect(evaluate(L, `local t = mix.php_unpack("C*", "\\1\\2"); return #t, t[2], tostring(t[1])`)).toEqual([2, 2, "1"]);
  expect(evaluate(L, `return mix.php_unpack("N", "\\0")`)).toEqual([
    undefined,
    "php_unpack: Type N: not enough input, need 4, have 1",
  ]);
  expect(evaluate(L, `return mix.php_pack("N")`)).toEqual([undefined, "php_pack: Type N: too few arguments"]);
  expect(() => evaluate(L, `mix.php_pack("N", {})`)).toThrow(
    "bad argument #2 to 'php_pack' (number or string expected, got table)",
  );
});

test("64-bit integers beyond 2^53 come as decimal strings and go back exactly", () => {
  expect(evaluate(L, `return mix.php_unpack("J", "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff")[1]`)).toEqual([
    "18446744073709551615",
  ]);
  expect(
    evaluate(L, `local s = "\\x80\\0\\0\\0\\0\\0\\0\\1"; return mix.php_pack("J", mix.php_unpack("J", s)[1]) == s`),
  ).toEqual([true]);
});
