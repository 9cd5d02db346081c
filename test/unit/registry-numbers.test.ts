import { expect, test } from "bun:test";
import { NODE_NUMBERS } from "../../src/client-id.ts";
import { backOff } from "../../src/registry/back-off.ts";
import { NodeNumbers } from "../../src/registry/numbers.ts";

test("numbers go round: one that was given back comes again after all the others", () => {
  const numbers = new NodeNumbers(0);
  const first = numbers.lease("a")!;
  numbers.release(first, "a");
  const seen = new Set([first]);
  for (let count = 1; count < NODE_NUMBERS; count++) {
    const next = numbers.lease("b")!;
    expect(next).toBeWithin(0, NODE_NUMBERS);
    seen.add(next);
    numbers.release(next, "b");
  }
  expect(seen.size).toBe(NODE_NUMBERS);
  expect(numbers.lease("c")).toBe(first);
});

test("each number has one holder, and all can be leased", () => {
  const numbers = new NodeNumbers(0);
  const leased = Array.from({ length: NODE_NUMBERS }, (_, index) => numbers.lease(`node${index}`));
  expect(new Set(leased).size).toBe(NODE_NUMBERS);
  expect(numbers.lease("one more")).toBeUndefined();
  numbers.release(17, numbers.holder(17)!);
  expect(numbers.lease("one more")).toBe(17);
});

test("a number is released by its holder only", () => {
  const numbers = new NodeNumbers(0);
  const number = numbers.lease("a")!;
  numbers.assign(number, "b");
  numbers.release(number, "a");
  expect(numbers.holder(number)).toBe("b");
});

test("a later start begins elsewhere in the circle", () => {
  const first = new NodeNumbers(1_700_000_000_000).lease("a");
  expect(new NodeNumbers(1_700_000_060_000).lease("a")).toBe((first! + 60) % NODE_NUMBERS);
});

test("the back-off doubles from 100 ms up to its bound, and is spread over its upper half", () => {
  for (const [failures, full] of [
    [1, 100],
    [2, 200],
    [4, 800],
    [6, 2500],
    [1000, 2500],
  ] as const) {
    const waits = Array.from({ length: 200 }, () => backOff(failures, 2500));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(full / 2);
    expect(Math.max(...waits)).toBeLessThanOrEqual(full);
    expect(new Set(waits).size).toBeGreaterThan(100);
  }
});
