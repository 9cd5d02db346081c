import { expect, test } from "bun:test";
import { ClientIds, NODE_NUMBERS, nodeNumberOf, parseClientId } from "../../src/client-id.ts";

const NOW = Date.UTC(2030, 0, 1);

test("an id carries its node's number, up to the highest, below 2^53", () => {
  for (const number of [0, 1, 2047, 2048, NODE_NUMBERS - 1]) {
    const ids = new ClientIds(number, NOW);
    for (let n = 0; n < 100; n++) {
      const id = ids.next();
      expect(nodeNumberOf(id)).toBe(number);
      expect(Number.isSafeInteger(id)).toBe(true);
    }
  }
});

test("ids ascend and never repeat", () => {
  const ids = new ClientIds(7, NOW);
  let last = 0;
  for (let n = 0; n < 10_000; n++) {
    const id = ids.next();
    expect(id).toBeGreaterThan(last);
    last = id;
  }
});

test("a node that restarts under its number goes on above what it issued before", () => {
  const before = new ClientIds(7, NOW);
  let last = 0;
  // A thousand a second for a minute, which is how long the process lived.
  for (let n = 0; n < 60_000; n++) last = before.next();
  expect(new ClientIds(7, NOW + 60_000).next()).toBeGreaterThan(last);
});

test("the sequence survives a clock before 2020 and one after 2089", () => {
  expect(nodeNumberOf(new ClientIds(4095, 0).next())).toBe(4095);
  expect(nodeNumberOf(new ClientIds(4095, Date.UTC(2100, 0, 1)).next())).toBe(4095);
  const ids = new ClientIds(1, 1_577_836_800_000 + 2 ** 41 - 2);
  expect([ids.next(), ids.next()].map(nodeNumberOf)).toEqual([1, 1]);
});

test("a renumbered node goes on with its sequence under the new number", () => {
  const ids = new ClientIds(1, NOW);
  const old = ids.next();
  ids.renumber(9);
  const next = ids.next();
  expect(nodeNumberOf(next)).toBe(9);
  expect(next % 2 ** 41).toBe((old % 2 ** 41) + 1);
});

test("reads ids as decimal strings and integers, and nothing else", () => {
  expect(parseClientId("1463786910324359")).toBe(1463786910324359);
  expect(parseClientId(1463786910324359)).toBe(1463786910324359);
  expect(parseClientId("0")).toBe(0);
  expect(parseClientId(String(Number.MAX_SAFE_INTEGER))).toBe(Number.MAX_SAFE_INTEGER);
  const wrong = ["", "-1", "1.5", "0x10", " 1", "1e3", "9007199254740992", "12345678901234567", "１"];
  for (const value of [...wrong, -1, 1.5, Number.NaN, 2 ** 53, null, undefined, {}, [1], true, 10n]) {
    expect(parseClientId(value)).toBeUndefined();
  }
});
