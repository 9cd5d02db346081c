import { expect, test } from "bun:test";
import { parseDuration } from "../../src/lua/mix/duration.ts";

test.each([
  ["500ms", 500],
  ["10s", 10_000],
  ["1h", 3_600_000],
  ["1.5s", 1500],
  ["1h30m10s", 5_410_000],
  ["250us", 0.25],
  ["250µs", 0.25],
  ["1000ns", 0.001],
  ["0s", 0],
])("%s", (text, milliseconds) => {
  expect(parseDuration(text)).toBeCloseTo(milliseconds, 9);
});

test.each(["", "10", "s", "10 s", "-1s", "1d", "1s ", ".5s", "1.s"])("%j is no duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
