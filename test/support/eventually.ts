/** Resolves once `condition` holds; rejects after `limit` milliseconds with what it last returned or threw. */
export async function eventually<T>(condition: () => T | Promise<T>, limit = 10_000, what = "condition"): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    let found: unknown;
    try {
      const value = await condition();
      if (value) return value;
      found = value;
    } catch (error) {
      found = error;
    }
    if (performance.now() > end) throw new Error(`${what} did not hold within ${limit} ms; last: ${String(found)}`);
    await Bun.sleep(10);
  }
}
