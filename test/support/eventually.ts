const PAUSE_MS = 10;

/** Thrown inside `eventually` and `until` to give up at once. */
export class Fatal extends Error {}

/** Tries `check`, which asserts something, until it no longer throws; after `limit` milliseconds its last error is thrown. */
export async function eventually<T>(check: () => T | Promise<T>, limit = 10_000): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (error instanceof Fatal || performance.now() > end) throw error;
      await Bun.sleep(PAUSE_MS);
    }
  }
}

/** Resolves with what `condition` returns once that is truthy; after `limit` milliseconds it rejects and says `what` did not come. */
export function until<T>(condition: () => T | Promise<T>, limit = 10_000, what = String(condition)): Promise<T> {
  return eventually(async () => {
    const value = await condition();
    if (!value) throw new Error(`still ${value} after ${limit} ms: ${what}`);
    return value;
  }, limit);
}
