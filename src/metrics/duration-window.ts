/** Durations kept of each part of the window: enough for quartiles, whatever the rate. */
const SAMPLES = 512;

interface Bucket {
  readonly samples: Float64Array;
  /** Durations observed; the first `min(seen, SAMPLES)` samples are set. */
  seen: number;
  min: number;
  max: number;
}

function emptyBucket(): Bucket {
  return { samples: new Float64Array(SAMPLES), seen: 0, min: Number.POSITIVE_INFINITY, max: 0 };
}

/**
 * Durations of one kind of operation: how many and how long in all, and their quantiles over the last `maxAge` seconds. An
 * observation costs a few nanoseconds, where a t-digest takes microseconds: each part of the window keeps a uniform sample
 * (Vitter, "Random Sampling with a Reservoir", algorithm R).
 */
export class DurationWindow {
  count = 0;
  /** Seconds. */
  sum = 0;
  readonly #buckets: Bucket[];
  readonly #bucketMs: number;
  #current = 0;
  #nextRotation: number;

  /** `maxAge` in seconds, divided into `ageBuckets` parts that expire one after another. */
  constructor(maxAge: number, ageBuckets: number) {
    this.#buckets = Array.from({ length: ageBuckets }, emptyBucket);
    this.#bucketMs = (maxAge * 1000) / ageBuckets;
    this.#nextRotation = performance.now() + this.#bucketMs;
  }

  /** Observes an operation that began at `started` and has ended at `now` (both of `performance.now()`). */
  observe(started: number, now: number): void {
    if (now >= this.#nextRotation) this.#rotate(now);
    const seconds = (now - started) / 1000;
    this.count++;
    this.sum += seconds;
    const bucket = this.#buckets[this.#current]!;
    const at = bucket.seen < SAMPLES ? bucket.seen : Math.floor(Math.random() * (bucket.seen + 1));
    if (at < SAMPLES) bucket.samples[at] = seconds;
    bucket.seen++;
    if (seconds < bucket.min) bucket.min = seconds;
    if (seconds > bucket.max) bucket.max = seconds;
  }

  /** The quantiles (0 to 1) in seconds; 0 when nothing was observed within the window. The least and the greatest are exact. */
  quantiles(wanted: readonly number[]): number[] {
    const now = performance.now();
    if (now >= this.#nextRotation) this.#rotate(now);
    const filled = this.#buckets.filter(({ seen }) => seen > 0);
    if (filled.length === 0) return wanted.map(() => 0);
    const min = Math.min(...filled.map((bucket) => bucket.min));
    const max = Math.max(...filled.map((bucket) => bucket.max));
    // A sample of a busy part of the window stands for more observations than one of a quiet part.
    const weighted = filled.flatMap(({ samples, seen }) => {
      const kept = Math.min(seen, SAMPLES);
      return Array.from(samples.subarray(0, kept), (value) => ({ value, weight: seen / kept }));
    });
    weighted.sort((a, b) => a.value - b.value);
    const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
    return wanted.map((quantile) => {
      if (quantile <= 0) return min;
      if (quantile >= 1) return max;
      let passed = 0;
      for (const { value, weight } of weighted) {
        passed += weight;
        if (passed >= quantile * total) return value;
      }
      return max;
    });
  }

  #rotate(now: number): void {
    // After a long silence every part is expired, and no more than all of them need emptying.
    for (let turn = 0; now >= this.#nextRotation && turn < this.#buckets.length; turn++) {
      this.#current = (this.#current + 1) % this.#buckets.length;
      this.#buckets[this.#current] = emptyBucket();
      this.#nextRotation += this.#bucketMs;
    }
    if (now >= this.#nextRotation) this.#nextRotation = now + this.#bucketMs;
  }
}
