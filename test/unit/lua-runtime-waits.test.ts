import { expect, test } from "bun:test";
import { until } from "../support/eventually.ts";
import { Scripted } from "../support/scripted.ts";

const WAITER = `
  function on_message(msg, conn)
    local name = msg.data
    if name == "plain" then conn:send(tostring(conn:wait_context_value("key")))
    elseif name == "pcall" then conn:send(table.concat({ tostring(pcall(conn.wait_context_value, conn, "key")) }, " "))
    elseif name == "coroutine" then
      local step = coroutine.wrap(function()
        local first = conn:wait_context_value("key")
        coroutine.yield("first " .. tostring(first))
        local inner = coroutine.wrap(function() return conn:wait_context_value("second") end)
        return "second " .. tostring(inner())
      end)
      conn:send(step())
      conn:send(step())
    elseif name == "for" then for v in function() return conn:wait_context_value("key") end do conn:send(tostring(v)) return end
    elseif name == "timeout" then conn:send(select(2, conn:wait_context_value("never", 0.01)))
    elseif name == "sort" then
      local err
      table.sort({ 2, 1 }, function(a, b) err = select(2, conn:wait_context_value("key")) return a < b end)
      conn:send(err)
    elseif name == "sorted coroutine" then
      local err
      table.sort({ 2, 1 }, function(a, b)
        err = coroutine.wrap(function() return select(2, conn:wait_context_value("key")) end)()
        return a < b
      end)
      conn:send(err)
    else conn:send(name) end
  end
  function on_close(id, err, conn) conn:send("closed") end`;

test("a callback waits alone, and its connection's messages wait behind it in order", () => {
  const scripted = new Scripted(WAITER);
  const [a, b] = [scripted.connect(), scripted.connect()];
  for (const message of ["plain", "one", "two"]) a.message(message);
  b.message("other");
  expect(a.texts).toEqual([]);
  expect(b.texts).toEqual(["other"]);
  expect(scripted.script.stats.suspended).toBe(1);
  scripted.hub.setContextValue(a, "unrelated", 1);
  expect(a.texts).toEqual([]);
  scripted.hub.setContextValue(a, "key", 5);
  expect(a.texts).toEqual(["5", "one", "two"]);
  expect(scripted.script.stats.suspended).toBe(0);
});

test("a value that is there already is answered at once", () => {
  const scripted = new Scripted(WAITER);
  const connection = scripted.connect();
  scripted.hub.setContextValue(connection, "key", { a: [1] });
  connection.message("plain");
  expect(connection.texts[0]).toStartWith("table: ");
});

test("waits work inside pcall, iterators and coroutines of the script's own", () => {
  for (const [name, expected] of [
    ["pcall", ["true"]],
    ["for", ["5"]],
    ["coroutine", ["first 5", "second 6"]],
  ] as const) {
    const scripted = new Scripted(WAITER);
    const connection = scripted.connect();
    connection.message(name);
    expect(connection.texts).toEqual([]);
    scripted.hub.setContextValue(connection, "key", 5);
    scripted.hub.setContextValue(connection, "second", 6);
    expect(connection.texts).toEqual([...expected]);
    expect(scripted.log).toEqual([]);
  }
});

test("where nothing can be suspended a wait is an error value", () => {
  for (const name of ["sort", "sorted coroutine"]) {
    const connection = new Scripted(WAITER).connect();
    connection.message(name);
    expect(connection.texts[0]).toStartWith("cannot wait here");
  }
  const source =
    "function init() result = select(2, mix.sleep(0.01)) end function on_message(msg, conn) conn:send(result) end";
  const connection = new Scripted(source).connect();
  connection.message("go");
  expect(connection.texts[0]).toStartWith("cannot wait here");
});

test("a wait ends after its time", async () => {
  const connection = new Scripted(WAITER).connect();
  connection.message("timeout");
  await until(() => connection.texts.length > 0);
  expect(connection.texts).toEqual(['"never" was not set within 0.01 s']);
});

test("the end of the connection ends its wait, runs what is queued, then on_close", () => {
  const scripted = new Scripted(WAITER);
  const connection = scripted.connect();
  for (const message of ["plain", "plain", "last"]) connection.message(message);
  connection.end();
  expect(connection.texts).toEqual(["nil", "nil", "last", "closed"]);
  expect(scripted.closed).toEqual([connection.id]);
  expect(scripted.script.stats.suspended).toBe(0);
});

test("on_close may wait; the connection is done when it has", async () => {
  const scripted = new Scripted(
    "function on_message() end function on_close(id, err, conn) mix.sleep(0.01) conn:send('slept') end",
  );
  const connection = scripted.connect();
  connection.end();
  expect(scripted.closed).toEqual([]);
  await until(() => scripted.closed.length > 0);
  expect(connection.texts).toEqual(["slept"]);
});

test("a wait for another connection's value ends when that one closes", () => {
  const scripted = new Scripted(`
    local first
    function on_message(msg, conn)
      if first == nil then first = conn return end
      conn:send(select(2, first:wait_context_value("key")))
    end`);
  const [a, b] = [scripted.connect(), scripted.connect()];
  a.message("keep");
  b.message("wait");
  expect(b.texts).toEqual([]);
  a.end();
  expect(b.texts).toEqual(["the connection has closed"]);
});

test("a callback that sets a value for another wakes it when its own turn is over", () => {
  const scripted = new Scripted(`
    local waiter
    function on_message(msg, conn)
      if msg.data == "wait" then waiter = conn order = "" conn:wait_context_value("key") order = order .. "woken" conn:send(order) return end
      waiter:set_context_value("key", 1)
      order = order .. "set "
    end`);
  const [a, b] = [scripted.connect(), scripted.connect()];
  a.message("wait");
  b.message("set");
  expect(a.texts).toEqual(["set woken"]);
});

test("nobody else can resume what waits", () => {
  const scripted = new Scripted(`
    local co, thread
    function on_message(msg, conn)
      if msg.data == "wait" then
        thread = coroutine.running()
        co = coroutine.create(function() return conn:wait_context_value("key") end)
        conn:send(tostring(select(2, coroutine.resume(co))))
      else
        conn:send(table.concat({ coroutine.status(co), select(2, coroutine.resume(co)), select(2, coroutine.resume(thread)) }, "; "))
      end
    end`);
  const [a, b] = [scripted.connect(), scripted.connect()];
  a.message("wait");
  b.message("meddle");
  expect(b.texts).toEqual(["normal; cannot resume non-suspended coroutine; cannot resume non-suspended coroutine"]);
  scripted.hub.setContextValue(a, "key", "value");
  expect(a.texts).toEqual(["value"]);
});

test("a yield outside a coroutine is an error", () => {
  const scripted = new Scripted("function on_message(msg, conn) coroutine.yield(1) end");
  scripted.connect().message("go");
  expect(scripted.log[0]).toContain("coroutine.yield outside a coroutine");
});

test("a mailbox that is full closes the connection, with counts in the log", () => {
  for (const [mailbox, limit] of [
    [{ messages: 3, bytes: 1000 }, "3 messages (15 bytes)"],
    [{ messages: 100, bytes: 20 }, "4 messages (20 bytes)"],
  ] as const) {
    const scripted = new Scripted(WAITER, { mailbox });
    const connection = scripted.connect();
    connection.message("plain");
    for (let i = 0; i < 4; i++) connection.message("12345");
    if (mailbox.messages === 100) connection.message("12345");
    expect(connection.closedWith).toEqual([1008, "too many messages are waiting"]);
    expect(scripted.log[0]).toContain(`client ${connection.id} is closed: ${limit} wait`);
    expect(scripted.script.stats.mailboxOverflows).toBe(1);
  }
});

test("mix.mesh suspends when a peer has to answer", async () => {
  const scripted = new Scripted(
    'function on_message(msg, conn) conn:send(tostring(mix.mesh.send(7, "x"))) conn:send(table.concat({ mix.mesh.publish("c", "x") }, " ")) end',
    {},
    { send: async () => "no client 7", publish: async () => ({ total: 9, fail: 2 }) },
  );
  const connection = scripted.connect();
  connection.message("go");
  expect(connection.texts).toEqual([]);
  await until(() => connection.texts.length === 2);
  expect(connection.texts).toEqual(["no client 7", "7 2"]);
});

test("metamethods of operators, calls, fields and loops may wait", async () => {
  const scripted = new Scripted(`
    local function slow(value) return function() mix.sleep(0) return value end end
    local meta = {
      __index = slow("field"), __add = slow(5), __concat = slow("joined"), __eq = slow(true), __lt = slow(true), __len = slow(7),
      __call = function(_, ...) mix.sleep(0) return select("#", ...), ... end,
      __newindex = function(t, k, v) mix.sleep(0) rawset(t, k, v) end,
      __pairs = function(t) mix.sleep(0) return function(_, k) mix.sleep(0) if not k then return 1, "each" end end, t, nil end,
    }
    function on_message(msg, conn)
      local a, b = setmetatable({}, meta), setmetatable({}, meta)
      a.set = "kept"
      local each
      for _, v in pairs(a) do each = v end
      local values = { a.field, a + 1, "x" .. a, a == b, a ~= b, a < b, #a, rawget(a, "set"), each, a("x", 2) }
      for i = 1, #values do values[i] = tostring(values[i]) end
      conn:send(table.concat(values, " "))
      conn:send(tostring(setmetatable({}, { __tostring = function() return select(2, mix.sleep(0)) end })))
    end`);
  const connection = scripted.connect();
  connection.message("go");
  await until(() => connection.texts.length === 2);
  expect(connection.texts[0]).toBe("field 5 joined true false true 7 kept each 2 x 2");
  expect(connection.texts[1]).toStartWith("cannot wait here");
});
