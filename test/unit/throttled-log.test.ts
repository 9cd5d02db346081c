import { afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { ThrottledLog } from "../../src/throttled-log.ts";
import { LogLines } from "../support/log-lines.ts";

let now = 0;
let clock: ReturnType<typeof spyOn>;
beforeEach(() => {
  now = 1000;
  clock = spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => {
  clock.mockRestore();
});

test("so many lines of a kind in ten seconds, then the number left out", () => {
  const log = new LogLines();
  const throttled = new ThrottledLog(log, 5);
  for (let n = 0; n < 9; n++) throttled.warn("a", `a${n}`);
  throttled.warn("b", "b");
  now += 10_000;
  throttled.warn("a", "a9");
  throttled.warn("b", "b2");
  expect(log.lines).toEqual([
    ...["a0", "a1", "a2", "a3", "a4", "b"].map((text) => `warn ${text}`),
    "warn a9 (4 more like this)",
    "warn b2",
  ]);
});

test("the number of kinds it remembers is bounded", () => {
  const log = new LogLines();
  const throttled = new ThrottledLog(log);
  for (let n = 0; n < 2; n++) throttled.warn("0", "first");
  for (let n = 1; n < 1001; n++) throttled.warn(`${n}`, "other");
  throttled.warn("0", "first again");
  expect(log.lines.at(-1)).toBe("warn first again");
});
