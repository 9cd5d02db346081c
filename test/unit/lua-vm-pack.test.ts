import { expect, test } from "bun:test";
import { run } from "../support/scripted.ts";

const BYTES = "local function bytes(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end ";

/** What each call answers, from PUC-Rio's interpreter on a 64-bit machine. */
const CALLS: [call: string, answer: string][] = [
  ['bytes(string.pack(">I2 <I4 B b", 258, 4294967295, 200, -1))', "0102ffffffffc8ff"],
  ['bytes(string.pack("<I8", 1795300977123))', "e3e94600a2010000"],
  ['bytes(string.pack(">i8 >i3", -2, -2))', "fffffffffffffffefffffe"],
  ['bytes(string.pack(">I4", 0xdeadbeef | 0))', "deadbeef"],
  ['bytes(string.pack(">s2 z s1", "hi", "yo", ""))', "00026869796f0000"],
  ['bytes(string.pack("c5", "hi"))', "6869000000"],
  ['bytes(string.pack(">d >f", 1.5, -2))', "3ff8000000000000c0000000"],
  ['bytes(string.pack(">!4 B I4 x B Xi4", 1, 2, 3))', "010000000000000200030000"],
  ['bytes(string.pack(">I16", 2^40))', "00000000000000000000010000000000"],
  ['string.unpack("<I4", "\\255\\255\\255\\255")', "4294967295 5"],
  ['string.unpack("<i4", "\\255\\255\\255\\255")', "-1 5"],
  ['string.unpack("<I8", "\\1\\0\\0\\0\\1\\0\\0\\0")', "4294967297 9"],
  ['string.unpack("<j", "\\254\\255\\255\\255\\255\\255\\255\\255")', "-2 9"],
  ['string.unpack(">I6", "\\1\\0\\0\\0\\0\\0")', "1099511627776 7"],
  ['string.unpack(">I2 s1 z", "\\1\\2\\2hiyo\\0rest")', "258 hi yo 9"],
  ['string.unpack("B", "abc", -1)', "99 4"],
  ['string.unpack("<d", string.pack("<d", 0.1))', "0.1 9"],
  ['string.packsize("!8 b i8 h")', "18"],
  ['string.packsize("j"), string.packsize("i"), string.packsize("l"), string.packsize("n")', "8 4 8 8"],
  ['select(2, pcall(string.pack, "<I4", 2^32))', "bad argument #2 to 'string.pack' (unsigned overflow)"],
  ['select(2, pcall(string.pack, "<i4", 2^31))', "bad argument #2 to 'string.pack' (integer overflow)"],
  [
    'select(2, pcall(string.pack, "I2", 1.5))',
    "bad argument #2 to 'string.pack' (number 1.5 has no integer representation)",
  ],
  ['select(2, pcall(string.pack, "I2"))', "bad argument #2 to 'string.pack' (number expected, got no value)"],
  ['select(2, pcall(string.pack, "c1", "hi"))', "bad argument #2 to 'string.pack' (string longer than given size)"],
  ['select(2, pcall(string.pack, "y", 1))', "bad argument #1 to 'string.pack' (invalid format option 'y')"],
  [
    'select(2, pcall(string.pack, "i17", 1))',
    "bad argument #1 to 'string.pack' (integral size (17) out of limits [1,16])",
  ],
  ['select(2, pcall(string.pack, "c999999999", ""))', "resulting string too large (more than 67108864 bytes)"],
  ['select(2, pcall(string.unpack, "I4", "abc"))', "bad argument #2 to 'string.unpack' (data string too short)"],
  [
    'select(2, pcall(string.unpack, "s4", "\\255\\255\\255\\255"))',
    "bad argument #2 to 'string.unpack' (data string too short)",
  ],
  [
    'select(2, pcall(string.unpack, "z", "abc"))',
    "bad argument #2 to 'string.unpack' (unfinished string for format 'z')",
  ],
  [
    'select(2, pcall(string.unpack, "B", "abc", 9))',
    "bad argument #3 to 'string.unpack' (initial position out of string)",
  ],
  [
    'select(2, pcall(string.unpack, "J", ("\\255"):rep(8)))',
    "8-byte integer is beyond 2^53, more than a number holds: mix.php_unpack gives it as a string",
  ],
];

test.each(CALLS)("%s", (call, answer) => {
  expect(run(`${BYTES} send(${call})`)).toEqual([answer]);
});
