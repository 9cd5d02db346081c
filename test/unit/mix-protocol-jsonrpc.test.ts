import { expect, test } from "bun:test";
import { Scripted } from "../support/scripted.ts";

const server = new Scripted(
  `
  local jsonrpc = require("protocols.jsonrpc")
  protocol_input, protocol_decode, protocol_encode = jsonrpc.input, jsonrpc.decode, jsonrpc.encode
  local seen = {}
  on_message = jsonrpc.server({
    subtract = function(params)
      return params.minuend and params.minuend - params.subtrahend or params[1] - params[2]
    end,
    update = function(params) seen = params end,
    seen = function() return seen end,
    get_data = function() return { "hello", 5 } end,
    nothing = function() end,
    no = function() return false end,
    refused = function() return nil, "not today" end,
    coded = function() return nil, { code = 7, message = "seven", data = { 7 } } end,
    broken = function() error("oops") end,
    unsendable = function() return { n = 0 / 0, f = print } end,
    caller = function(_, conn) return conn:client_id() end,
  })
`,
  { protocol: "socket" },
);

function exchange(line: string, chunk?: number): unknown[] {
  const client = server.connect();
  client.feed(`${line}\n`, chunk);
  return client
    .taken()
    .toString()
    .split("\n")
    .filter((each) => each !== "")
    .map((each) => JSON.parse(each));
}

const ok = (result: unknown, id: unknown) => [{ jsonrpc: "2.0", result, id }];
const error = (code: number, message: unknown, id: unknown) => [{ jsonrpc: "2.0", error: { code, message }, id }];
const invalid = { jsonrpc: "2.0", error: { code: -32600, message: "Invalid Request" }, id: null };

// The examples of section 7 of the specification, then what it says in words.
test.each([
  ['{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', ok(19, 1)],
  ['{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}', ok(-19, 2)],
  ['{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}', ok(19, 3)],
  ['{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', []],
  ['{"jsonrpc": "2.0", "method": "foobar"}', []],
  ['{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', error(-32601, "Method not found: foobar", "1")],
  [
    '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
    error(-32700, expect.stringContaining("Parse error: "), null),
  ],
  ['{"jsonrpc": "2.0", "method": 1, "params": "bar"}', [invalid]],
  ['{"jsonrpc": "2.0", "method": "unsendable", "id": 1}', error(-32603, "Internal error", 1)],
  [
    '[{"jsonrpc": "2.0", "method": "no", "id": 1}, {"jsonrpc": "2.0", "method": "unsendable", "id": 2}]',
    [[...ok(false, 1), ...error(-32603, "Internal error", 2)]],
  ],
  ["[]", [invalid]],
  ["[1]", [[invalid]]],
  ["[1,2,3]", [[invalid, invalid, invalid]]],
  [
    '[{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},{"jsonrpc": "2.0", "method": "update", "params": [7]},{"foo": "boo"},{"jsonrpc": "2.0", "method": "foo.get", "id": "5"},{"jsonrpc": "2.0", "method": "get_data", "id": "9"}]',
    [[...ok(19, "2"), invalid, ...error(-32601, "Method not found: foo.get", "5"), ...ok(["hello", 5], "9")]],
  ],
  ['[{"jsonrpc": "2.0", "method": "update", "params": [1]},{"jsonrpc": "2.0", "method": "update", "params": [7]}]', []],
  ['{"jsonrpc": "2.0", "method": "nothing", "id": 4}', ok(null, 4)],
  ['{"jsonrpc": "2.0", "method": "no", "id": 4}', ok(false, 4)],
  ['{"jsonrpc": "2.0", "method": "get_data", "id": null}', ok(["hello", 5], null)],
  ['{"jsonrpc": "2.0", "method": "refused", "id": 5}', error(-32000, "not today", 5)],
  [
    '{"jsonrpc": "2.0", "method": "coded", "id": 5}',
    [{ jsonrpc: "2.0", error: { code: 7, message: "seven", data: [7] }, id: 5 }],
  ],
  ['{"jsonrpc": "2.0", "method": "broken", "id": 6}', error(-32603, "Internal error", 6)],
  ['{"jsonrpc": "1.0", "method": "no", "id": 7}', error(-32600, "Invalid Request", 7)],
  ['{"jsonrpc": "2.0", "method": "no", "id": {}}', [invalid]],
  ['{"jsonrpc": "2.0", "method": "no", "params": "x", "id": 8}', error(-32600, "Invalid Request", 8)],
  ['{"jsonrpc": "2.0", "result": 1, "id": 1}', []],
  ['"text"', [invalid]],
  ["null", [invalid]],
  [" ", []],
])("%s", (line, expected) => {
  for (const chunk of [1, 7, 1000]) expect(exchange(line, chunk)).toEqual(expected);
});

test("several lines at once are answered in order; the connection is passed on", () => {
  const client = server.connect();
  const call = (id: number) => `{"jsonrpc":"2.0","method":"caller","id":${id}}\r\n`;
  client.feed(call(1) + call(2) + call(3));
  const replies = client
    .taken()
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(replies).toEqual([1, 2, 3].map((id) => ({ jsonrpc: "2.0", result: String(client.id), id })));
});

test("bytes that are not UTF-8 are a parse error", () => {
  const client = server.connect();
  client.feed(Buffer.from([0x22, 0xff, 0x22, 0x0a]));
  expect(JSON.parse(client.taken().toString()).error.code).toBe(-32700);
});

test("a method that fails is logged with its line", () => {
  server.log.length = 0;
  exchange('{"jsonrpc": "2.0", "method": "broken", "id": 6}');
  expect(server.complaints).toEqual([expect.stringContaining("broken: lua/test.lua:16: oops")]);
});
