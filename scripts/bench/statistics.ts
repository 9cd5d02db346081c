/** The middle value; the mean of the two middle ones for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Buckets in each doubling of the value: a percentile is exact to one part in this. */
const STEPS = 64;
const BUCKETS = 40 * STEPS;

/** A histogram of times in microseconds, from 1 µs up; adding costs a logarithm and no memory. */
export class Histogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(micros: number): void {
    const bucket = micros <= 1 ? 0 : Math.min(BUCKETS - 1, Math.floor(Math.log2(micros) * STEPS));
    this.#buckets[bucket]!++;
    this.#count++;
  }

  clear(): void {
    this.#buckets.fill(0);
    this.#count = 0;
  }

  /** The time in microseconds that `share` (0 to 1) of all did not exceed; 0 when nothing was added. */
  percentile(share: number): number {
    if (this.#count === 0) return 0;
    let left = Math.max(1, Math.ceil(this.#count * share));
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#buckets[bucket]!;
      if (left <= 0) return 2 ** ((bucket + 0.5) / STEPS);
    }
    return 2 ** (BUCKETS / STEPS);
  }
}
