const FIRST = 200;
export const LONGEST = 5_000;

/**
 * Milliseconds to wait before trying again after `failures` failures in a row: doubling up to 5 s, and spread widely, so
 * that the many clients an engine cuts off together do not come back together.
 */
export function backoff(failures: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST, FIRST * 2 ** Math.max(0, failures - 1));
  return longest * (0.25 + 0.75 * random());
}
