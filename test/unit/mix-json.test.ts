import { describe, expect, test } from "bun:test";
import { installJson } from "../../src/lua/mix/json.ts";
import { evaluate, stateWith } from "../support/library.ts";

const L = stateWith(installJson);

describe("json_encode", () => {
  test.each([
    ["{}", "[]"],
    ["mix.json_object({})", "{}"],
    ["mix.json_object({ 'a' })", '{"1":"a"}'],
    ["{ 1, 2, 3 }", "[1,2,3]"],
    ["{ 1, 'a', true, false, mix.null, { x = {} } }", '[1,"a",true,false,null,{"x":[]}]'],
    ["{ [1] = 'a', [3] = 'c', [4] = 'd', [10] = 'x' }", '{"1":"a","3":"c","4":"d","10":"x"}'],
    ["{ [0] = 'a' }", '{"0":"a"}'],
    ["{ ['a'] = 1 }", '{"a":1}'],
    ["nil", "null"],
    ["mix.null", "null"],
    ["1", "1"],
    ["1.0", "1"],
    ["-1.5", "-1.5"],
    ["0.1", "0.1"],
    ["2147483648", "2147483648"],
    ["9007199254740991.0", "9007199254740991"],
    ["1e300", "1e+300"],
    ["'\\u{4F60}\\u{597D} \\u{1F600} \"\\\\\\n\\0'", '"你好 😀 \\"\\\\\\n\\u0000"'],
  ])("%s is %s", (value, expected) => {
    expect(evaluate(L, `return mix.json_encode(${value})`)).toEqual([expected]);
  });

  test.each([
    ["'\\xff\\xfe'", "a string is not UTF-8: pass it through mix.base64_encode first"],
    ["{ ['\\xff'] = 1 }", "a table key is not UTF-8"],
    ["0/0", "NaN is not a number in JSON"],
    ["{ 1/0 }", "Infinity is not a number in JSON"],
    ["print", "a function has no JSON form"],
    ["{ [true] = 1 }", "a table key is a boolean, expected a string"],
  ])("%s is an error", (value, message) => {
    expect(evaluate(L, `return mix.json_encode(${value})`)).toEqual([undefined, `json_encode: ${message}`]);
  });

  test("a cycle is an error, the same table twice is not", () => {
    expect(evaluate(L, "local t = {}; t.t = { t }; return mix.json_encode(t)")).toEqual([
      undefined,
      "json_encode: a table contains itself",
    ]);
    expect(evaluate(L, "local t = { 1 }; return mix.json_encode({ t, t })")).toEqual(["[[1],[1]]"]);
  });

  test("nesting has a limit, in both directions", () => {
    const nest = (depth: number) => `local t = {}; for _ = 2, ${depth} do t = { t } end; return mix.json_encode(t)`;
    expect(evaluate(L, nest(128))[0]).toBe("[".repeat(128) + "]".repeat(128));
    expect(evaluate(L, nest(129))).toEqual([undefined, "json_encode: nested deeper than 128 levels"]);
    const decode = (depth: number) => `return mix.json_decode(("["):rep(${depth}) .. ("]"):rep(${depth}))`;
    expect(evaluate(L, decode(128))[1]).toBeUndefined();
    expect(evaluate(L, decode(129))).toEqual([undefined, "json_decode: nested deeper than 128 levels"]);
    expect(evaluate(L, decode(1_000_000))).toEqual([undefined, "json_decode: nested deeper than 128 levels"]);
  });

  test("without a value it is the script's mistake", () => {
    expect(() => evaluate(L, "mix.json_encode()")).toThrow("bad argument #1 to 'json_encode'");
    expect(() => evaluate(L, "mix.json_decode(nil)")).toThrow("string expected, got nil");
  });
});

describe("json_decode", () => {
  test("integers are integers, so they concatenate without a fraction", () => {
    expect(
      evaluate(L, `return "room:" .. mix.json_decode('{"id":1002}').id, mix.json_decode("1.5"), mix.json_decode("-0")`),
    ).toEqual(["room:1002", 1.5, -0]);
    expect(evaluate(L, `return mix.json_decode("9007199254740991") == 9007199254740991.0`)).toEqual([true]);
  });

  test("null keeps its place in arrays and objects", () => {
    expect(evaluate(L, `local t = mix.json_decode('[1,null,3]'); return #t, t[2] == mix.null, t[3]`)).toEqual([
      3,
      true,
      3,
    ]);
    expect(
      evaluate(L, `return mix.json_decode('{"a":null}').a == mix.null, mix.json_decode("null") == mix.null`),
    ).toEqual([true, true]);
  });

  test.each([
    '{"a":[1,2,{"b":[]}],"c":{},"d":"x"}',
    "[]",
    "{}",
    '[[],{},[{}],""]',
    '{"ключ":"值","":0,"__proto__":{"a":1},"constructor":1}',
    '{"1":"a","2":"b","x":0}',
    "[true,false,null,0,-1,1e+300,2147483647,-2147483648,2147483648,9007199254740991]",
    '"\\u0000\\u001f \\u2028"',
  ])("%s survives the way through Lua", (json) => {
    const [text] = evaluate(L, `return mix.json_encode(mix.json_decode([==[${json}]==]))`);
    expect(JSON.parse(String(text))).toEqual(JSON.parse(json));
  });

  test("surrogate pairs become one character; half a pair becomes U+FFFD", () => {
    expect(evaluate(L, `return mix.json_decode('"\\\\ud83d\\\\ude00"')`)).toEqual(["😀"]);
    expect(evaluate(L, `return mix.json_decode('"\\\\ud83d"')`)).toEqual(["\ufffd"]);
  });

  test("of duplicate keys the last one counts", () => {
    expect(evaluate(L, `return mix.json_decode('{"a":1,"a":2}')`)).toEqual([{ a: 2 }]);
  });

  test.each(["", " ", "{", "[1,]", '{"a":1,}', "{a:1}", "'a'", "nul", "NaN", "[1]x", "01", "+1", '"a\nb"', "\ufeff1"])(
    "%j is not JSON",
    (json) => {
      const [value, error] = evaluate(L, `return mix.json_decode([==[\n${json}]==])`);
      expect(value).toBeUndefined();
      expect(error).toStartWith("json_decode: not JSON (");
      expect(error).toEndWith(JSON.stringify(json));
    },
  );

  test("bytes that are not UTF-8 are refused", () => {
    expect(evaluate(L, `return mix.json_decode('"\\xff"')`)).toEqual([
      undefined,
      "json_decode: the string is not UTF-8",
    ]);
  });
});
