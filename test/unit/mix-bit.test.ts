import { expect, test } from "bun:test";
import { installBit } from "../../src/lua/mix/bit.ts";
import { evaluate, stateWith } from "../support/library.ts";

const L = stateWith(installBit);

const hex = (x: number) => `0x${x.toString(16)}`;

// The results that Lua BitOp's own documentation prints.
test.each([
  ["tobit(0xffffffff)", -1],
  ["tobit(0xffffffff + 1)", 0],
  ["tobit(2^40 + 1234)", 1234],
  ["tohex(1)", "00000001"],
  ["tohex(-1)", "ffffffff"],
  ["tohex(0xffffffff)", "ffffffff"],
  ["tohex(-1, -8)", "FFFFFFFF"],
  ["tohex(0x21, 4)", "0021"],
  ["tohex(0x87654321, 4)", "4321"],
  ["bnot(0)", -1],
  [`tohex(bit.bnot(0x12345678))`, "edcba987"],
  ["bor(1, 2, 4, 8)", 15],
  ["tohex(bit.band(0x12345678, 0xff))", "00000078"],
  ["tohex(bit.bxor(0xa5a5f0f0, 0xaa55ff00))", "0ff00ff0"],
  ["lshift(1, 0)", 1],
  ["lshift(1, 8)", 256],
  ["lshift(1, 40)", 256],
  ["rshift(256, 8)", 1],
  ["rshift(-256, 8)", 16777215],
  ["arshift(256, 8)", 1],
  ["arshift(-256, 8)", -1],
  ["tohex(bit.lshift(0x87654321, 12))", "54321000"],
  ["tohex(bit.rshift(0x87654321, 12))", "00087654"],
  ["tohex(bit.arshift(0x87654321, 12))", "fff87654"],
  ["tohex(bit.rol(0x12345678, 12))", "45678123"],
  ["tohex(bit.ror(0x12345678, 12))", "67812345"],
  ["tohex(bit.bswap(0x12345678))", "78563412"],
  ["tohex(bit.bswap(0x78563412))", "12345678"],
])("bit.%s", (call, expected) => {
  expect(evaluate(L, `return bit.${call}`)).toEqual([expected]);
});

test("results are signed 32-bit integers", () => {
  expect(evaluate(L, "return tostring(bit.bor(2^31, 0)), bit.bor(2^31, 0), bit.rshift(-1, 0), bit.rol(-1, 0)")).toEqual(
    ["-2147483648", -2147483648, -1, -1],
  );
});

test("strings that read as numbers are numbers, fractions are rounded", () => {
  expect(
    evaluate(L, `return bit.band("0xff", "15"), bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-1.5), bit.tobit(1.4)`),
  ).toEqual([15, 2, 2, -2, 1]);
});

test("tohex takes up to eight digits", () => {
  expect(evaluate(L, "return bit.tohex(0xabcdef, 100), bit.tohex(0xabcdef, 0), bit.tohex(0xabcdef, -2)")).toEqual([
    "00abcdef",
    "",
    "EF",
  ]);
});

test("agrees with the VM's own operators on many values", () => {
  const values = [0, 1, -1, 0x7fffffff, -0x80000000, 0x12345678, -0x12345679, 0x55aa55aa];
  for (const a of values) {
    for (const b of values) {
      const [and, or, xor, left] = evaluate(
        L,
        `return bit.band(${hex(a)}, ${hex(b)}) == ${hex(a)} & ${hex(b)}, bit.bor(${hex(a)}, ${hex(b)}) == ${hex(a)} | ${hex(b)},
         bit.bxor(${hex(a)}, ${hex(b)}) == ${hex(a)} ~ ${hex(b)}, bit.lshift(${hex(a)}, 5) == ${hex(a)} << 5`.replaceAll(
          "0x-",
          "-0x",
        ),
      );
      expect([and, or, xor, left]).toEqual([true, true, true, true]);
    }
  }
});

test("a wrong argument is the script's mistake", () => {
  expect(() => evaluate(L, "bit.band()")).toThrow("bad argument #1 to 'band' (number expected, got no value)");
  expect(() => evaluate(L, "bit.bor(1, {})")).toThrow("bad argument #2 to 'bor' (number expected, got table)");
  expect(() => evaluate(L, "bit.lshift(1)")).toThrow("bad argument #2 to 'lshift'");
});
