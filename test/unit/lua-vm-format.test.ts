import { expect, test } from "bun:test";
import { run } from "../support/scripted.ts";

/** What each call answers, from PUC-Rio's interpreter. */
const CALLS: [call: string, answer: string][] = [
  ['string.format("%5d|%-5d|%05d|%+d|%.3d|% d", 3, 3, 3, 3, 3, 3)', "    3|3    |00003|+3|003| 3"],
  ['string.format("%d %i %5.1f%%", -7, 2^53, 99.95)', "-7 9007199254740992 100.0%"],
  ['string.format("%x %X %#x %08x %o %u", 255, 255, 255, 3735928559, 8, 5)', "ff FF 0xff deadbeef 10 5"],
  ['string.format("%012x %x", 2^47 + 255, 0xdeadbeef | 0)', "8000000000ff deadbeef"],
  ['string.format("%g %g %g %g %g %g", 1e20, 0.1, 100000, 1e6, 0.0001, 1e-5)', "1e+20 0.1 100000 1e+06 0.0001 1e-05"],
  ['string.format("%.3g %.14g %#.3g %G", 1234.5, 0.1, 1, 1e-10)', "1.23e+03 0.1 1.00 1E-10"],
  ['string.format("%e %.2E %.0f %#.0f", 12345.678, 0.00015, 2.6, 3)', "1.234568e+04 1.50E-04 3 3."],
  [
    'string.format("%f %.3f %10.2f|%-10.2f|%010.2f", 1.5, -1/3, 3.14159, 2, -2)',
    "1.500000 -0.333       3.14|2.00      |-000002.00",
  ],
  ['string.format("%.1f %f", 1e22, -0.0)', "10000000000000000000000.0 -0.000000"],
  ['string.format("%f %5.1f %d%%", 1/0, -1/0, 3)', "inf  -inf 3%"],
  ['string.format("%a %A %a", 1, 0.5, 0)', "0x1p+0 0X1P-1 0x0p+0"],
  ['string.format("%s %s %s", nil, true, setmetatable({}, { __tostring = function() return "T" end }))', "nil true T"],
  ['string.format("%-5s|%5s|%.2s|%5.1s|", "ab", "ab", "abc", "xyz")', "ab   |   ab|ab|    x|"],
  ['string.format("%c%c", 72, 105)', "Hi"],
  ['#string.format("%s%c", "a\\0\\255", 0)', "4"],
  ['string.format("%q", "a\\"\\\\\\r\\0001\\n")', '"a\\"\\\\\\13\\0001\\\n"'],
  ['string.format("%q %q %q", 1/3, 5, false)', "0x1.5555555555555p-2 5 false"],
  ['load("return " .. string.format("%q", "\\0\\1\\0012\\200é"))() == "\\0\\1\\0012\\200é"', "true"],
  ['select(2, pcall(string.format, "%d", "x"))', "bad argument #2 to 'string.format' (number expected, got string)"],
  ['select(2, pcall(string.format, "%d"))', "bad argument #2 to 'string.format' (number expected, got no value)"],
  [
    'select(2, pcall(string.format, "%d", 3.5))',
    "bad argument #2 to 'string.format' (number 3.5 has no integer representation)",
  ],
  ['select(2, pcall(string.format, "%s"))', "bad argument #2 to 'string.format' (value expected, got no value)"],
  ['select(2, pcall(string.format, "%y", 1))', "invalid option '%y' to 'format'"],
  ['select(2, pcall(string.format, "%", 1))', "invalid option '%' to 'format'"],
  ['select(2, pcall(string.format, "%100d", 1))', "invalid format (width or precision too long)"],
];

test.each(CALLS)("%s", (call, answer) => {
  expect(run(`send(${call})`)).toEqual([answer]);
});

test("an error of string.format tells the line and the argument", () => {
  expect(() => run('send(("%d"):format({}))')).toThrow(
    /lua\/test.lua:\d+: bad argument #1 to 'format' \(number expected, got table\)/,
  );
});
