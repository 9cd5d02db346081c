import { describe, expect, test } from "bun:test";
import { ApiError } from "../../src/api/api-error.ts";
import { eventFrame, eventText } from "../../src/api/dialects.ts";
import { parseExact, plainNumbers } from "../../src/api/exact-json.ts";
import { readCallings, readNothing, readPublishings, readSendings, readTopics } from "../../src/api/parameters.ts";
import { type ApiRequest, parseRequests } from "../../src/api/request.ts";

function one(text: string): ApiRequest {
  const request = parseRequests(text);
  if (Array.isArray(request)) throw new Error("one request expected");
  return request;
}

function message(value: unknown): string {
  if (!(value instanceof ApiError)) throw new Error(`an error expected, found ${JSON.stringify(value)}`);
  expect(value.code).toBe(101);
  return value.message;
}

describe("a request", () => {
  test("is long or short by the key of its method", () => {
    expect(one('{"method":"a","params":[1],"id":5}')).toEqual({ dialect: "long", id: "5", method: "a", params: [1] });
    expect(one('{"m":"a","p":{"c":1},"i":5}')).toEqual({ dialect: "short", id: "5", method: "a", params: { c: 1 } });
    expect(one('{"m":"a","id":"x"}')).toEqual({ dialect: "short", id: '"x"', method: "a", params: undefined });
    expect(one('{"method":"a","m":"b","i":1}')).toMatchObject({ dialect: "long", method: "a", id: "1" });
  });

  test.each([
    ["0", "0"],
    ["-1", "-1"],
    ["9007199254740991", "9007199254740991"],
    ["9007199254740993", "9007199254740993"],
    ["12345678901234567890", "12345678901234567890"],
    ["-98765432109876543210987654321", "-98765432109876543210987654321"],
    ["1e400", "1e400"],
    ["1E5", "1E5"],
    ["1.0", "1.0"],
    ["0.1000", "0.1000"],
    ['"abc"', '"abc"'],
    ['"a\\"b\\u0000\\n"', '"a\\"b\\u0000\\n"'],
    ['"中文 ✓"', '"中文 ✓"'],
    [`"${"x".repeat(100_000)}"`, `"${"x".repeat(100_000)}"`],
    ["null", "null"],
    ["true", "true"],
  ])("keeps its id as it was written: %p", (written, echoed) => {
    expect(one(`{"method":"server.ping","id":${written}}`).id).toBe(echoed);
    expect(one(`{"m":"server.ping", "i" : ${written} }`).id).toBe(echoed);
  });

  test.each([
    ["an array", 300_000, "[", "]"],
    ["parameters", 200_000, '{"method":"mesh.send","params":[', "]}"],
    ["an id", 200_000, '{"method":"server.ping","id":[', "]}"],
  ])("that is nested too deeply is refused: %s", (_what, levels, before, after) => {
    const { method } = one(`${before}${"[".repeat(levels)}${"]".repeat(levels)}${after}`);
    expect(method).toBeInstanceOf(ApiError);
    expect((method as ApiError).message).toEndWith("it is nested more than 128 levels deep");
  });

  test("may nest 128 levels", () => {
    const deep = `${"[".repeat(125)}${"]".repeat(125)}`;
    expect(one(`{"method":"a","params":[{"data":${deep}}]}`)).toMatchObject({ method: "a" });
    expect(one(`{"method":"a","params":[{"data":[${deep}]}]}`).method).toBeInstanceOf(ApiError);
  });

  test("without an id has the id null", () => {
    expect(one('{"method":"a"}').id).toBe("null");
  });

  test.each([
    ["", "long"],
    ["nonsense", "long"],
    ['{"method":"a"', "long"],
    ["123", "long"],
    ['"text"', "long"],
    ["null", "long"],
    ["[]", "long"],
    ["{}", "long"],
    ['{"method":5}', "long"],
    ['{"m":{}}', "short"],
  ] as const)("that is none is error 100: %p", (text, dialect) => {
    const request = one(text);
    expect(request.dialect).toBe(dialect);
    expect(request.method).toBeInstanceOf(ApiError);
    expect((request.method as ApiError).code).toBe(100);
    expect((request.method as ApiError).message).toMatch(/expected .+, found /);
  });

  test("keeps its id also when it has no method", () => {
    expect(one('{"id":12345678901234567890}').id).toBe("12345678901234567890");
  });

  test("may come in an array", () => {
    const requests = parseRequests('[{"method":"a","id":1},7,{"m":"b","i":2}]') as ApiRequest[];
    expect(requests.map(({ id }) => id)).toEqual(["1", "null", "2"]);
    expect(requests[1]?.method).toBeInstanceOf(ApiError);
  });
});

describe("exact numbers", () => {
  test("survive parsing and printing", () => {
    const text = '{"a":12345678901234567890,"b":[1.0,1e400,-0.10],"c":1,"d":"1.0"}';
    expect(JSON.stringify(parseExact(text))).toBe(text);
  });

  test("become plain ones again", () => {
    expect(plainNumbers(parseExact('[1e3,1.50,"x",null]'))).toEqual([1000, 1.5, "x", null]);
  });

  test("are plain where nothing is lost", () => {
    expect(parseExact('{"client_id":9007199254740991,"x":1.5}')).toEqual({ client_id: 9007199254740991, x: 1.5 });
  });
});

describe("sends", () => {
  const entry = { clientId: 15, data: "hi" };

  test.each([
    [[{ client_id: "15", data: "hi" }], [entry]],
    [[{ client_id: 15, data: "hi", type: "text" }], [entry]],
    [{ client_id: "15", data: "hi" }, [entry]],
    [{ c: "15", d: "hi" }, [entry]],
    [{ c: 15, d: "hi", t: "text" }, [entry]],
    [{ c: 15, d: "hi", t: null }, [entry]],
    [
      [
        { c: "15", d: "hi" },
        { client_id: 16, data: "" },
      ],
      [entry, { clientId: 16, data: "" }],
    ],
    [{ c: 15, d: { a: [1] } }, [{ clientId: 15, data: '{"a":[1]}' }]],
    [{ c: 15, d: 5 }, [{ clientId: 15, data: "5" }]],
    [{ c: 15, d: null }, [{ clientId: 15, data: "null" }]],
    [{ c: 15, d: "AP+A", t: "binary" }, [{ clientId: 15, data: new Uint8Array([0, 255, 128]) }]],
    [{ c: 15, d: "", t: "binary" }, [{ clientId: 15, data: new Uint8Array(0) }]],
  ])("are read from %j", (params, expected) => {
    expect(readSendings(params)).toEqual(expected);
  });

  test("keep the digits of data that is not a string", () => {
    const params = parseExact('{"c":15,"d":{"order":12345678901234567890,"price":1.50}}');
    expect(readSendings(params)).toEqual([{ clientId: 15, data: '{"order":12345678901234567890,"price":1.50}' }]);
  });

  test.each([
    [undefined, "params: expected an object or an array of objects, found nothing"],
    [[], "params: expected one object or more, found an empty array"],
    ["x", 'params: expected an object or an array of objects, found "x"'],
    [[{ c: 1, d: "x" }, 5], "params[1]: expected an object, found 5"],
    [{ d: "x" }, "params: client_id (c) is a client's id as a decimal string or an integer below 2^53, found nothing"],
    [[{ c: "1x", d: "x" }], "params[0]: client_id (c) is"],
    [[{ c: -1, d: "x" }], "found -1"],
    [[{ c: 1.5, d: "x" }], "found 1.5"],
    [[{ c: "99999999999999999999", d: "x" }], 'found "99999999999999999999"'],
    [{ c: 1 }, "params: data (d) is missing"],
    [{ c: 1, d: "x", t: "blob" }, 'params: type (t) is "text" or "binary", found "blob"'],
    [{ c: 1, d: "A", t: "binary" }, 'params: with type "binary", data (d) is base64 (RFC 4648 section 4), found "A"'],
    [{ c: 1, d: "AP+", t: "binary" }, "is base64"],
    [{ c: 1, d: "AP-_", t: "binary" }, "is base64"],
    [{ c: 1, d: { a: 1 }, t: "binary" }, 'found {"a":1}'],
  ])("are refused: %j", (params, expected) => {
    expect(message(readSendings(params))).toContain(expected);
  });
});

describe("publishes", () => {
  test.each([[[{ channel: "a", data: "x" }]], [{ channel: "a", data: "x", type: "text" }], [{ c: "a", d: "x" }]])(
    "are read from %j",
    (params) => {
      expect(readPublishings(params)).toEqual([{ channel: "a", data: "x" }]);
    },
  );

  test.each([
    [{ d: "x" }, "params: channel (c) is the name of a channel, found nothing"],
    [{ c: "", d: "x" }, "params: channel (c): a channel name has 1 to 1024 characters, this one has 0"],
    [
      [
        { c: "a", d: "x" },
        { c: "a".repeat(1025), d: "x" },
      ],
      "params[1]: channel (c): a channel name has 1 to 1024",
    ],
    [{ c: 5, d: "x" }, "found 5"],
    [{ c: "a" }, "params: data (d) is missing"],
  ])("are refused: %j", (params, expected) => {
    expect(message(readPublishings(params))).toContain(expected);
  });
});

describe("calls", () => {
  test.each([
    [[{ client_id: "5", func: "f", args: ["a", 1] }], ["a", 1]],
    [{ c: 5, f: "f", a: ["a", 1] }, ["a", 1]],
    [{ c: 5, f: "f" }, []],
  ])("are read from %j", (params, args) => {
    expect(readCallings(params)).toEqual([{ clientId: 5, func: "f", args }]);
  });

  test.each([
    [{ c: 5 }, "params: func (f) is the name of a function, found nothing"],
    [{ c: 5, f: "f", a: "x" }, 'params: args (a) is an array, found "x"'],
    [{ f: "f" }, "client_id (c)"],
  ])("are refused: %j", (params, expected) => {
    expect(message(readCallings(params))).toContain(expected);
  });
});

describe("topics", () => {
  test.each([
    [["foo", "bar"]],
    [["foo", "bar", "foo"]],
    [{ t: ["foo", "bar"] }],
    [[{ t: ["foo"] }, { t: "bar" }]],
    [[["foo", "bar"]]],
  ])("are read from %j", (params) => {
    expect(readTopics(params)).toEqual(new Set(["foo", "bar"]));
  });

  test("may be one plain name", () => {
    expect(readTopics({ t: "foo" })).toEqual(new Set(["foo"]));
  });

  test.each([[undefined], [null], [[]], [{}], [{ t: [] }], [[5]], [[""]], [["foo", null]]])(
    "are refused: %j",
    (params) => {
      expect(message(readTopics(params))).toStartWith("params: expected topic names");
    },
  );

  test("none: absent, empty array, empty object", () => {
    expect([undefined, null, [], {}].map(readNothing)).toEqual([undefined, undefined, undefined, undefined]);
    expect(message(readNothing(["foo"]))).toBe('params: expected none, found ["foo"]');
  });
});

describe("an event", () => {
  test("is in the dialect of its consume request", () => {
    expect(eventText(eventFrame("long", 'q"1'), "node", 42, '{"a":1}')).toBe(
      '{"event":"queue.consume","result":{"client_id":"42","queue":"q\\"1","data":{"a":1}},"id":null}',
    );
    expect(eventText(eventFrame("short", "foo"), "node", 42, '"text"')).toBe(
      '{"e":"queue.pop","p":{"n":"node","c":"42","t":"foo","d":"text"},"id":null}',
    );
  });
});
