import { describe, expect, test } from "bun:test";
import { Histogram, median } from "../../scripts/bench/statistics.ts";

describe("median", () => {
  test("is the middle value, or the mean of the two middle ones", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });
});

describe("Histogram", () => {
  test("finds percentiles to within two in a hundred, over five orders of magnitude", () => {
    const histogram = new Histogram();
    for (let micros = 1; micros <= 100_000; micros++) histogram.add(micros);
    expect(histogram.count).toBe(100_000);
    for (const share of [0.01, 0.5, 0.99]) {
      expect(Math.abs(histogram.percentile(share) / (share * 100_000) - 1)).toBeLessThan(0.02);
    }
  });

  test("knows no percentile before the first value and after a clear", () => {
    const histogram = new Histogram();
    expect(histogram.percentile(0.5)).toBe(0);
    histogram.add(10);
    histogram.clear();
    expect(histogram.percentile(0.5)).toBe(0);
  });

  test("takes times below a microsecond and beyond its range", () => {
    const histogram = new Histogram();
    histogram.add(0);
    histogram.add(1e15);
    expect(histogram.percentile(0)).toBeLessThan(2);
    expect(histogram.percentile(1)).toBeGreaterThan(1e11);
  });
});
