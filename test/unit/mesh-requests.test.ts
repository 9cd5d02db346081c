import { expect, test } from "bun:test";
import { PublishGather, Requests } from "../../src/mesh/requests.ts";

test("a publish is counted when the last peer has answered", async () => {
  const gather = new PublishGather({ total: 2, fail: 1 }, 3);
  let done = false;
  gather.promise.then(() => {
    done = true;
  });
  gather.add(5, 0);
  gather.add(0, 0);
  await Promise.resolve();
  expect(done).toBe(false);
  gather.add(1, 1);
  expect(await gather.promise).toEqual({ total: 8, fail: 2 });
});

test("a request is answered once, by an answer of its own kind", () => {
  const requests = new Requests();
  const results: unknown[] = [];
  const resolve = (result: unknown) => results.push(result);
  const first = requests.add({ kind: "send", resolve, deadline: 1 });
  const second = requests.add({ kind: "call", resolve, deadline: 1 });
  expect(second).not.toBe(first);
  expect(requests.take(first, "call")).toBeUndefined();
  requests.take(first, "send")?.resolve("late");
  expect(requests.take(first, "send")).toBeUndefined();
  expect(requests.take(999, "send")).toBeUndefined();
  expect(results).toEqual(["late"]);
  expect(requests.size).toBe(1);
});

test("those whose time is up fail, each in its own way", async () => {
  const requests = new Requests();
  const results: unknown[] = [];
  const gather = new PublishGather({ total: 3, fail: 0 }, 1);
  requests.add({ kind: "send", resolve: (failure) => results.push(failure), deadline: 10 });
  requests.add({ kind: "call", resolve: (result) => results.push(result), deadline: 20 });
  requests.add({ kind: "publish", gather, deadline: 30 });
  expect(requests.expire(9, "slow")).toBe(0);
  expect(requests.expire(20, "slow")).toBe(2);
  expect(results).toEqual(["slow", { error: "slow" }]);
  expect(requests.failAll("gone")).toBe(1);
  expect(await gather.promise).toEqual({ total: 4, fail: 1 });
  expect(requests.size).toBe(0);
});

test("one that could not be sent fails alone", () => {
  const requests = new Requests();
  const results: unknown[] = [];
  const id = requests.add({ kind: "send", resolve: (failure) => results.push(failure), deadline: 10 });
  requests.add({ kind: "send", resolve: (failure) => results.push(failure), deadline: 10 });
  requests.fail(id, "too large");
  requests.fail(id, "twice");
  expect(results).toEqual(["too large"]);
  expect(requests.size).toBe(1);
});
