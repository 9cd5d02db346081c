import { beforeEach, describe, expect, test } from "bun:test";
import { callConnection, closeCodeAllowed } from "../../src/hub/calls.ts";
import { Connection, type Failure } from "../../src/hub/connection.ts";
import { type Fanout, Hub } from "../../src/hub/hub.ts";
import type { Json } from "../../src/json.ts";

const NOWHERE: Fanout = { subscribe() {}, unsubscribe() {}, publish: () => 0 };

class TestConnection extends Connection {
  closed: [number | undefined, string | undefined] | undefined;
  constructor(id: number) {
    super(id, "127.0.0.1", NOWHERE, 0);
  }
  write = (): Failure => undefined;
  send = (): Failure => undefined;
  close(code?: number, reason?: string): void {
    this.closed = [code, reason];
  }
  waitingBytes = () => 0;
}

let hub: Hub;
let connection: TestConnection;
beforeEach(() => {
  hub = new Hub();
  connection = new TestConnection(7);
  hub.add(connection);
});

const call = (func: string, ...args: Json[]) => callConnection(hub, 7, func, args);

describe("context", () => {
  test("is empty, is set by key and by object, and is read whole", () => {
    expect(call("context")).toEqual({ value: {} });
    expect(call("set_context_value", "user_id", 10000)).toEqual({});
    expect(call("set_context", { name: "ü", list: [1, null] })).toEqual({});
    expect(call("set_context_value", "name", null)).toEqual({});
    expect(call("context")).toEqual({ value: { user_id: 10000, name: null, list: [1, null] } });
  });

  test("tells the listener of its hub each key, after the value is there", () => {
    const heard: unknown[] = [];
    hub.onContext = (who, key) => heard.push([who.id, key, who.context?.[key]]);
    new Hub().onContext = () => heard.push("another hub");
    hub.setContextValue(connection, "a", 1);
    call("set_context", { b: 2, c: 3 });
    expect(heard).toEqual([
      [7, "a", 1],
      [7, "b", 2],
      [7, "c", 3],
    ]);
  });

  test("a key named __proto__ is a plain value", () => {
    call("set_context", JSON.parse('{"__proto__": {"admin": true}}'));
    expect(Object.keys(connection.context ?? {})).toEqual(["__proto__"]);
    expect((connection.context as Record<string, unknown>).admin).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

test("subscribes, unsubscribes and lists channels", () => {
  expect(call("subscribe", "a", "b")).toEqual({});
  expect(call("unsubscribe", "a", "never")).toEqual({});
  expect(call("channels")).toEqual({ value: ["b"] });
  expect(hub.subscribers("b")).toBe(1);
});

test("subscribes to none of the channels when one of the names is bad", () => {
  for (const bad of ["", "x".repeat(1025), 5]) {
    expect(call("subscribe", "a", bad, "b")).toEqual({ error: expect.stringContaining("subscribe: ") });
    expect(call("channels")).toEqual({ value: [] });
  }
});

test("closes with code and reason, or with 1000", () => {
  expect(call("close")).toEqual({});
  expect(connection.closed).toEqual([1000, ""]);
  expect(call("close", 4001, "bye")).toEqual({});
  expect(connection.closed).toEqual([4001, "bye"]);
});

describe("says what was found and what was expected", () => {
  const cases: [string, Json[], string][] = [
    ["set_context_value", [], "expected [key as a string, value], found []"],
    ["set_context_value", ["key"], 'found ["key"]'],
    ["set_context_value", [1, 2], "found [1,2]"],
    ["set_context", [[1]], "expected one object, found [1]"],
    ["set_context", [], "found nothing"],
    ["subscribe", [], "expected one or more channel names, found none"],
    ["subscribe", ["a", 5], "expected channel names as strings, found 5"],
    ["subscribe", [""], "this one has 0"],
    ["unsubscribe", [{}], "expected channel names as strings, found {}"],
    ["close", [1005], "found [1005]"],
    ["close", ["1000"], 'found ["1000"]'],
    ["close", [1000, 5], "found [1000,5]"],
    ["fly", [], 'no function "fly" on a connection, expected one of set_context_value'],
    ["toString", [], 'no function "toString"'],
    ["__proto__", [], 'no function "__proto__"'],
    ["set_context", ["x".repeat(100)], `found "${"x".repeat(59)}…`],
  ];
  for (const [func, args, error] of cases) {
    test(`${func} ${JSON.stringify(args).slice(0, 30)}`, () => {
      expect(call(func, ...args)).toEqual({ error: expect.stringContaining(error) });
      expect(connection.closed).toBeUndefined();
    });
  }

  test("for a client that is not here", () => {
    expect(callConnection(hub, 8, "context", [])).toEqual({
      error: "no client 8: it has disconnected or never was",
    });
  });
});

test("only close codes that an endpoint may send are allowed", () => {
  for (const code of [1000, 1001, 1003, 1007, 1014, 3000, 4999]) expect(closeCodeAllowed(code)).toBe(true);
  for (const code of [0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, "1000", null]) {
    expect(closeCodeAllowed(code)).toBe(false);
  }
});
