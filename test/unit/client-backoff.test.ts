import { expect, test } from "bun:test";
import { backoff } from "../../src/client/backoff.ts";

test("the wait doubles up to five seconds and is spread over three quarters of itself", () => {
  const waits = (random: number) => [1, 2, 3, 4, 5, 6, 60].map((failures) => backoff(failures, () => random));
  expect(waits(1)).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  expect(waits(0)).toEqual([50, 100, 200, 400, 800, 1_250, 1_250]);
});
