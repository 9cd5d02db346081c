import { expect, test } from "bun:test";
import { RateMeter } from "../../src/console/page/rates.ts";

const load = (readMessages: number, sentMessages = 0, publishes = 0) => ({
  clients: 1,
  channels: 0,
  readMessages,
  sentMessages,
  publishes,
});

test("an engine asked each second has the rate of the last second", () => {
  const meter = new RateMeter(1);
  expect(meter.add(0, load(100))).toEqual({ read: 0, sent: 0, publishes: 0 });
  expect(meter.add(1, load(110, 20, 1))).toEqual({ read: 10, sent: 20, publishes: 1 });
  expect(meter.add(2, load(110, 20, 1))).toEqual({ read: 0, sent: 0, publishes: 0 });
  expect(meter.add(2.5, load(115, 20, 1)).read).toBeCloseTo(5 / 1.5);
});

test("counters that come every few seconds give an even rate", () => {
  const meter = new RateMeter(10);
  // 100 a second, told every four seconds.
  for (let second = 0; second <= 30; second++) {
    const { read } = meter.add(second, load(Math.floor(second / 4) * 400));
    if (second >= 12) expect(Math.abs(read - 100)).toBeLessThanOrEqual(20);
  }
});

test("a counter that starts anew is no negative rate", () => {
  const meter = new RateMeter(1);
  meter.add(0, load(1000));
  expect(meter.add(1, load(5)).read).toBe(0);
});
