const FIRST = 100;

/**
 * How long to wait before the next attempt, in milliseconds: 100 after the first failure, doubled at each further one up
 * to `longest`, and of that a random share from a half up, so that nodes which lost the registry together do not come back
 * in step.
 */
export function backOff(failures: number, longest: number): number {
  return Math.min(longest, FIRST * 2 ** Math.min(failures - 1, 16)) * (0.5 + Math.random() / 2);
}
