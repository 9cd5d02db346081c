import { expect, test } from "bun:test";
import { until } from "../support/eventually.ts";
import { Scripted } from "../support/scripted.ts";

const LINES = `
  function on_connect(id, conn) conn:send("hello") end
  function protocol_input(buf, conn)
    if buf:byte(1) == 33 then error("no '!'") end
    if buf:byte(1) == 63 then return -1 end
    if buf:byte(1) == 35 then return "many" end
    if buf:byte(1) == 36 then return load("return " .. buf:tostring():match("^.(.-)\\n"))() end
    return buf:find("\\n") or 0
  end
  function protocol_decode(s, conn)
    if s == "skip\\n" then return nil end
    if s == "fail\\n" then error("cannot decode") end
    return { line = s:sub(1, -2) }
  end
  function protocol_encode(value, conn)
    if type(value) == "table" then return mix.json_encode(value) .. "\\n" end
    if value == "empty" then return "" end
    if value == "nil" then return nil end
    if value == "raise" then error("cannot encode") end
    return value .. "\\n"
  end
  function on_message(msg, conn)
    if msg.line == "sleep" then mix.sleep(0.02) end
    if msg.line == "clear" then conn:clear_buffer() end
    local err = conn:send(msg.line)
    if err then conn:send("error: " .. err) end
  end
  function on_close(id, err, conn) last_reason = err end`;

function lines(): Scripted {
  return new Scripted(LINES, { protocol: "socket" });
}

test("several packets in one chunk, one packet over many chunks", () => {
  const connection = lines().connect();
  connection.feed("one\ntwo\nthr");
  for (const character of "ee\nfour\n") connection.feed(character);
  expect(connection.texts).toEqual(["hello\n", "one\n", "two\n", "three\n", "four\n"]);
  expect(connection.buffer.length).toBe(0);
});

test("a decoded nil is skipped, any other value goes to on_message", () => {
  const connection = lines().connect();
  connection.feed("skip\nnext\n");
  expect(connection.texts).toEqual(["hello\n", "next\n"]);
});

test("what cannot be encoded is an error to the sender", () => {
  const scripted = lines();
  const connection = scripted.connect();
  connection.feed("empty\nnil\nraise\n");
  expect(connection.texts.slice(1)).toEqual([
    "error: protocol_encode answered an empty string, expected a string\n",
    "error: protocol_encode answered a nil, expected a string\n",
    "error: protocol_encode failed: lua/test.lua:19: cannot encode\n",
  ]);
  expect(scripted.log).toHaveLength(1);
  expect(scripted.log[0]).toContain("protocol_encode of client");
});

test("what others send passes through protocol_encode, whatever the callbacks do", () => {
  const scripted = lines();
  const connection = scripted.connect();
  connection.feed("sleep\n");
  expect(scripted.script.encode(connection, "text")).toEqual(new TextEncoder().encode("text\n"));
  expect(scripted.script.encode(connection, new Uint8Array([255]))).toEqual(new Uint8Array([255, 10]));
  expect(scripted.script.encode(connection, "empty")).toEqual({
    error: "protocol_encode answered an empty string, expected a string",
  });
  connection.end();
  expect(scripted.script.encode(connection, "late")).toEqual({ error: `connection ${connection.id} has closed` });
});

test.each([
  ["!\n", "protocol_input failed", "no '!'"],
  ["#\n", "protocol_input failed", "it answered many"],
  ["$1.5\n", "protocol_input failed", "it answered 1.5"],
  ["$-2\n", "protocol_input failed", "it answered -2"],
  ["$1/0\n", "protocol_input failed", "it answered inf"],
  ["$0/0\n", "protocol_input failed", "it answered nan"],
  ["$buf\n", "protocol_input failed", "it answered a nil"],
  ["$({ 'x' })\n", "protocol_input failed", "it answered a table"],
  ["?\n", "the script found a protocol error (protocol_input answered -1)", "debug client"],
  ["fail\n", "protocol_decode failed", "cannot decode"],
])("the stream cannot be read on after %j", (input, reason, logged) => {
  const scripted = lines();
  const connection = scripted.connect();
  connection.feed(`${input}next\n`);
  expect(connection.texts).toEqual(["hello\n"]);
  expect(connection.closedWith).toEqual([1002, reason]);
  expect(connection.closeReason).toBe(reason);
  expect(scripted.log[0]).toContain(logged);
});

test.each(["2^20 + 1", "1e300"])("a packet of %s bytes that can never be whole is refused", (length) => {
  const scripted = lines();
  const connection = scripted.connect();
  connection.feed(`$${length}\nnext\n`);
  expect(connection.closedWith?.[0]).toBe(1009);
  expect(connection.texts).toEqual(["hello\n"]);
});

test("numbers that are given to the buffer", () => {
  for (const [call, error] of [
    ["buf:read()", "#1 to 'read' (number expected, got no value)"],
    ["buf:read(1.5)", "#1 to 'read' (number 1.5 has no integer representation)"],
    ["buf:read(-1)", "#1 to 'read' (a number of bytes expected, got -1)"],
    [
      "pcall(buf.byte, buf, {}) error(select(2, pcall(buf.byte, buf, {})))",
      "#2 to 'buffer.byte' (number expected, got table)",
    ],
  ]) {
    const scripted = new Scripted(`function protocol_input(buf) ${call} end function on_message() end`, {
      protocol: "socket",
    });
    scripted.connect().feed("x");
    expect(scripted.log[0]).toContain(`bad argument ${error}`);
  }
});

test("a callback that waits stops the reading; packets keep their order", async () => {
  const connection = lines().connect();
  connection.feed("sleep\nafter\n");
  expect(connection.reading).toBe(false);
  connection.feed("later\n");
  expect(connection.texts).toEqual(["hello\n"]);
  await until(() => connection.texts.length === 4);
  expect(connection.texts).toEqual(["hello\n", "sleep\n", "after\n", "later\n"]);
  expect(connection.reading).toBe(true);
});

test("packets that arrived before the end are still handled", () => {
  const scripted = lines();
  const connection = scripted.connect();
  connection.feed("sleep\none\ntwo\n");
  connection.end();
  expect(scripted.closed).toEqual([connection.id]);
  expect(connection.buffer.length).toBe(0);
});

test("clear_buffer drops what has not been read", () => {
  const connection = lines().connect();
  connection.feed("clear\nlost\n");
  connection.feed("kept\n");
  expect(connection.texts).toEqual(["hello\n", "clear\n", "kept\n"]);
});

test("protocol_input is asked again only when the length it named has arrived", () => {
  const scripted = new Scripted(
    `calls = 0
     function protocol_input(buf) calls = calls + 1 return 1 + buf:byte(1) end
     function on_message(packet, conn) conn:send(#packet .. " " .. calls .. " " .. packet:sub(2)) end`,
    { protocol: "socket" },
  );
  const connection = scripted.connect();
  for (const character of "\x05hello") connection.feed(character);
  // Once for the first byte, once when all six are there. Without protocol_encode a string goes out as it is.
  expect(connection.texts).toEqual(["6 2 hello"]);
});

test("the buffer: reading moves a position that starts anew in every call", () => {
  const scripted = new Scripted(
    `function protocol_input(buf, conn)
       kept = buf
       local seen = { buf:tostring(), buf:read(2), buf:position(), buf:length(), tostring(buf:read(9)), buf:read(3), buf:position(),
         tostring(buf:find("c")), tostring(buf:find("zz")), tostring(buf:find("a", 2)), buf:byte(2), buf:byte(-1), select("#", buf:byte(1, 99)) }
       conn:send(table.concat(seen, " "))
       conn:send(select(2, buf:read(1)))
       return buf:length()
     end
     function on_message(msg, conn) conn:send(select(2, pcall(kept.tostring, kept))) end`,
    { protocol: "socket" },
  );
  const connection = scripted.connect();
  connection.feed("abcde");
  connection.feed("fghij");
  expect(connection.texts[0]).toBe("abcde ab 2 5 nil cde 5 3 nil nil 98 101 5");
  expect(connection.texts[1]).toBe("1 bytes asked for, 0 wait");
  expect(connection.texts[2]).toContain("the buffer can be used in protocol_input only");
  expect(connection.texts[3]).toStartWith("fghij fg 2 5");
});

test("protocol functions cannot wait", () => {
  const scripted = new Scripted(
    `function protocol_input(buf, conn) local _, err = mix.sleep(1) conn:send(err) return buf:length() end
     function on_message() end`,
    { protocol: "socket" },
  );
  const connection = scripted.connect();
  connection.feed("x");
  expect(connection.texts[0]).toStartWith("cannot wait here");
});

test("an endless protocol function is stopped", () => {
  const scripted = new Scripted("function protocol_input() while true do end end function on_message() end", {
    protocol: "socket",
    maxExecTime: () => 50,
  });
  const connection = scripted.connect();
  connection.feed("x");
  expect(scripted.log[0]).toContain("ran longer than 50 ms");
  expect(connection.closedWith?.[0]).toBe(1002);
  expect(scripted.script.stats.callbacks.protocol_input).toMatchObject({ count: 1, errors: 1, timeouts: 1 });
});
