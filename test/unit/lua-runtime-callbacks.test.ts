import { expect, test } from "bun:test";
import { UserError } from "../../src/errors.ts";
import { HANDSHAKE, run, Scripted } from "../support/scripted.ts";

test("a connection's callbacks, their arguments and the connection object", () => {
  const scripted = new Scripted(`
    local same
    function init() ready = "ready" end
    function on_handshake(id, headers, server, conn)
      same = conn
      conn:send(table.concat({ ready, id, headers["user-agent"], headers["User-Agent"], tostring(headers["X-None"]),
        server.Method, server.RequestUri, server.ServerProtocol, server.Host, server.RemoteAddr }, " "))
    end
    function on_message(msg, conn)
      conn:send(table.concat({ msg.type, msg.data, tostring(msg.finish), tostring(conn == same), tostring(mix.websocket() == conn),
        conn:client_id(), conn:remote_addr(), type(conn), tostring(mix.socket.tcp() == conn) }, " "))
    end
    function on_close(id, err, conn) conn:send(id .. " " .. tostring(err) .. " " .. tostring(conn == same)) end`);
  const connection = scripted.connect(HANDSHAKE);
  connection.message("hé");
  connection.message(new Uint8Array([104, 105]));
  connection.closeReason = "read timeout";
  connection.end();
  const { id } = connection;
  expect(connection.texts).toEqual([
    `ready ${id} test test nil GET /chat?room=1 HTTP/1.1 localhost:6790 192.0.2.1:5000`,
    `text hé true true true ${id} 192.0.2.1:5000 userdata true`,
    `binary hi true true true ${id} 192.0.2.1:5000 userdata true`,
    `${id} read timeout true`,
  ]);
  expect(scripted.closed).toEqual([id]);
  expect(scripted.script.stats.callbacks.on_message?.count).toBe(2);
});

test("only the required callbacks are required", () => {
  const scripted = new Scripted("function on_message(msg, conn) conn:send(msg.data) end");
  const connection = scripted.connect(HANDSHAKE);
  connection.message("x");
  connection.end();
  connection.end();
  expect(connection.texts).toEqual(["x"]);
  expect(scripted.closed).toEqual([connection.id]);
});

test.each([
  ["function on_message( end", "lua/test.lua:1: <name> or '...' expected near 'end'"],
  ["local t = nil\nt.x = 1", "lua/test.lua:2: attempt to index a nil value (local 't')"],
  ["function on_message() end\nfunction init() error('no database') end", "lua/test.lua:2: no database"],
  ["function init() end", "lua/test.lua: a websocket script has to define on_message, as a global function"],
  ["on_message = 5", "lua/test.lua: on_message is a number, expected a function"],
])("a script that cannot serve does not load: %s", (source, message) => {
  expect(() => new Scripted(source)).toThrow(UserError);
  expect(() => new Scripted(source)).toThrow(message);
});

test("an entry that is not there is named", () => {
  expect(() => new Scripted({ path: "/nowhere/entry.lua" })).toThrow("cannot read the entry script /nowhere/entry.lua");
});

test("an error is one log line with position and traceback; the connection goes on", () => {
  const scripted = new Scripted(`
    local function inner(t) return t.x.y end
    function on_message(msg, conn)
      if msg.data == "table" then error({}) end
      if msg.data == "bad" then inner({}) end
      conn:send("fine")
    end`);
  const connection = scripted.connect();
  for (const message of ["bad", "table", "good"]) connection.message(message);
  expect(connection.texts).toEqual(["fine"]);
  expect(scripted.log).toHaveLength(2);
  expect(scripted.log[0]).toStartWith(
    `error on_message of client ${connection.id} failed: lua/test.lua:2: attempt to index a nil value (field 'x')\nstack traceback:`,
  );
  expect(scripted.log[0]).toContain("lua/test.lua:5: in function 'on_message'");
  expect(scripted.log[1]).toContain("(error object is a table value: [])");
  expect(scripted.script.stats.callbacks.on_message).toMatchObject({ count: 3, errors: 2, timeouts: 0 });
});

test.each([
  ["{ code = 1, at = { 2, 3 } }", '(error object is a table value: {"code":1,"at":[2,3]})'],
  ["{ print }", "(error object is a table value)"],
  ["false", "(error object is a boolean value: false)"],
  ["nil", "(error object is a nil value)"],
  ["conn", "(error object is a userdata value)"],
  ["setmetatable({ n = 5 }, { __tostring = function(e) return 'code ' .. e.n end })", "code 5"],
  ["setmetatable({}, { __tostring = function() return {} end })", "'__tostring' answered a table, expected a string"],
  ["setmetatable({}, { __tostring = function() error('no', 0) end })", "table value, and to describe it failed: no"],
  ["setmetatable({}, { __tostring = function() while true do end end })", "stopped: it ran longer than 50 ms"],
  ["setmetatable({}, { __tostring = function() mix.sleep(1) end })", "and to describe it failed: "],
])("an error that is no text: %s", (value, shown) => {
  for (const protocol of ["websocket", "socket"] as const) {
    const scripted = new Scripted(
      `function protocol_input(buf, conn) error(${value}) end function on_message(msg, conn) error(${value}) end`,
      { protocol, maxExecTime: () => 50 },
    );
    const connection = scripted.connect();
    if (protocol === "socket") connection.feed("x");
    else connection.message("x");
    expect(scripted.log[0]).toContain(shown);
    expect(scripted.log[0]).toContain("stack traceback:\n");
  }
});

test("a handshake answered with false closes with 1008, anything else does not", () => {
  for (const [answer, closed] of [
    ["false", true],
    ["nil", false],
    ["true", false],
    ["0", false],
  ] as const) {
    const scripted = new Scripted(`function on_handshake() return ${answer} end function on_message() end`);
    expect(scripted.connect(HANDSHAKE).closedWith?.[0]).toBe(closed ? 1008 : undefined);
  }
});

test("what goes out: text, bytes, and errors as values", () => {
  const scripted = new Scripted(`
    function on_message(msg, conn)
      conn:send("é")
      conn:send("\\255", "binary")
      conn:send(12)
      conn:send(conn:send("\\255"))
      conn:send(tostring(select(2, pcall(conn.send, conn, {}))))
      conn:send(tostring(select(2, pcall(conn.send, conn, "x", "xml"))))
    end`);
  const connection = scripted.connect();
  connection.message("go");
  expect(connection.written).toEqual([
    "é",
    new Uint8Array([255]),
    "12",
    'the data is not UTF-8 text: send it as "binary"',
    "bad argument #2 to 'connection.send' (string expected, got table, which mix.json_encode makes a string)",
    'bad argument #3 to \'connection.send\' ("text" or "binary" expected, got "xml")',
  ]);
});

test("context: values, merging, removing, and a table of its own each time", () => {
  expect(
    run(`
      send(mix.json_encode(conn:context()), conn:context_value("a"))
      conn:set_context({ a = 1, b = { 2, "x" } })
      conn:set_context({ c = mix.null })
      conn:set_context_value("d", true)
      conn:context().a = 99
      send(conn:context_value("a"), mix.json_encode(conn:context_value("b")), conn:context_value("c") == mix.null, conn:context_value("d"))
      conn:set_context_value("a", nil)
      send(conn:context_value("a"), conn:set_context_value("f", print), conn:set_context({ 1, 2 }))`),
  ).toEqual(["[] nil", '1 [2,"x"] true true', "nil a function has no JSON form expected a table with string keys"]);
});

test("channels", () => {
  expect(
    run(`
      send(conn:subscribe("a", "b"), conn:subscribe(1002))
      table.sort(conn:channels())
      send(table.concat(conn:channels(), ","))
      send(conn:unsubscribe("a", "zzz"), table.concat(conn:channels(), ","))
      send(conn:subscribe("c", ""))
      send(table.concat(conn:channels(), ","))`),
  ).toEqual(["nil nil", "a,b,1002", "nil b,1002", "a channel name has 1 to 1024 characters, this one has 0", "b,1002"]);
});

test("closing, with a code and a reason", () => {
  const source = (call: string) => `function on_message(msg, conn) ${call} end`;
  const closed = (call: string) => {
    const scripted = new Scripted(source(call));
    const connection = scripted.connect();
    connection.message("go");
    return connection.closedWith ?? scripted.log[0];
  };
  expect(closed("conn:close()")).toEqual([1000, ""]);
  expect(closed('conn:close(4001, "bye")')).toEqual([4001, "bye"]);
  expect(closed("conn:close(1006)")).toContain("a close code expected");
});

test("queues: strings that are JSON are embedded, others become JSON", () => {
  const scripted = new Scripted(`
    function on_message(msg, conn)
      local n = mix.queue.push("foo", { msg = msg, ctx = conn:context() })
      mix.queue.push("foo", ' {"a": 1}')
      mix.queue.push("foo", "[1,2")
      mix.queue.push("foo", "plain")
      mix.queue.push("foo", 5)
      local refused, err = mix.queue.push("foo", { print })
      conn:send(n .. " " .. tostring(refused) .. " " .. err)
      conn:send(tostring(mix.queue.new("small", 1)) .. " " .. mix.queue.new("small", 0))
      mix.queue.push("small", 1)
      conn:send(select(2, mix.queue.push("small", 2)))
    end`);
  const connection = scripted.connect();
  connection.message("test");
  expect(scripted.taken("foo").map((data) => JSON.parse(data))).toEqual([
    { msg: { type: "text", data: "test", finish: true }, ctx: [] },
    { a: 1 },
    "[1,2",
    "plain",
    5,
  ]);
  expect(connection.texts).toEqual([
    "1 nil queue.push: a function has no JSON form",
    "nil a topic's size is an integer from 1 to 100000000, found 0",
    'topic "small" is full: 1 messages wait and nobody takes them',
  ]);
});

test("mix.log, mix.server.option and mix.mesh", () => {
  const scripted = new Scripted(`
    function on_message(msg, conn)
      mix.log(mix.INFO, "hello")
      mix.log(mix.WARN, 5)
      conn:send(mix.server.option("path") .. mix.server.option("size") .. tostring(mix.server.option("none")))
      conn:send(tostring(mix.mesh.send(conn:client_id(), "direct")) .. " " .. mix.mesh.send("7", "x") .. " " .. mix.mesh.send("seven", "x"))
      conn:send(table.concat({ mix.mesh.publish("nowhere", "x") }, " "))
    end`);
  const connection = scripted.connect();
  connection.message("go");
  expect(scripted.log).toEqual(["info lua/test.lua:3: hello", "warn lua/test.lua:4: 5"]);
  expect(connection.texts).toEqual(["/chat5nil", "direct", 'nil no client 7 not a client id: "seven"', "0 0"]);
});

test("a connection that a callback closes or writes to waits for its own turn", () => {
  const scripted = new Scripted(`
    local others = {}
    function on_message(msg, conn)
      if msg.data == "join" then others[#others + 1] = conn return end
      conn:send("before")
      for _, other in ipairs(others) do other:close() end
      conn:send("after")
    end
    function on_close(id, err, conn) conn:send("closed") end`);
  const order: string[] = [];
  const [a, b] = [scripted.connect(), scripted.connect()];
  b.close = () => b.end();
  for (const connection of [a, b]) {
    connection.write = (data) => {
      order.push(`${connection === a ? "a" : "b"} ${data}`);
      return undefined;
    };
  }
  b.message("join");
  a.message("go");
  expect(order).toEqual(["a before", "a after", "b closed"]);
});

test("what is wrong with an argument is told with what was found", () => {
  const told = (call: string) =>
    run(`send(select(2, pcall(function() ${call} end)))`)[0]!.replace(/^lua\/test.lua:6: /, "");
  expect(told("conn:send()")).toBe("bad argument #1 to 'send' (string expected, got no value)");
  expect(told("conn:send('x', 'xml')")).toBe(`bad argument #2 to 'send' ("text" or "binary" expected, got "xml")`);
  expect(told("conn:subscribe()")).toBe("bad argument #1 to 'subscribe' (string expected, got no value)");
  expect(told("conn:set_context('x')")).toBe("bad argument #1 to 'set_context' (table expected, got string)");
  expect(told("conn:wait_context_value('k', 'soon')")).toEndWith('(seconds expected, got "soon")');
  expect(told("conn:close(1005)")).toEndWith("3000 to 4999, got 1005)");
  expect(told("mix.mesh.send(nil, 'x')")).toBe("bad argument #1 to 'send' (string expected, got nil)");
  expect(told("mix.mesh.publish('c', {})")).toBe(
    "bad argument #2 to 'publish' (string expected, got table, which mix.json_encode makes a string)",
  );
  expect(told("mix.queue.push('t')")).toBe("bad argument #2 to 'push' (value expected, got no value)");
  expect(told("mix.log('hello')")).toEndWith('mix.DEBUG, mix.INFO, mix.WARN or mix.ERROR expected, got "hello")');
  expect(told("mix.php_pack('n', nil)")).toBe("bad argument #2 to 'php_pack' (number or string expected, got nil)");
  expect(told("conn.user = 5")).toBe(
    'a connection has no field "user": conn:set_context_value("user", value) keeps a value with it',
  );
});

test("a publish to what cannot be the name of a channel says so", () => {
  expect(run('send(mix.mesh.publish("", "x")) send(mix.mesh.publish(string.rep("n", 1025), "x"))')).toEqual([
    "nil nil a channel name has 1 to 1024 characters, this one has 0",
    "nil nil a channel name has 1 to 1024 characters, this one has 1025",
  ]);
});

test("names that are not UTF-8 are refused: read as text, different ones would become the same", () => {
  const refused = 'the name "�" is not UTF-8';
  expect(
    run(`
      send(conn:subscribe("ok", "\\255"))
      send(conn:unsubscribe("\\255"))
      send(#conn:channels())
      send(conn:set_context_value("\\255", 1))
      send(mix.json_encode(conn:context()))
      send(mix.mesh.publish("\\254", "x"))
      send(mix.queue.push("\\255", "x"))
      send(mix.queue.new("\\255", 1))
      send(conn:subscribe("房间"))`),
  ).toEqual([refused, refused, "0", refused, "[]", `nil nil ${refused}`, `nil ${refused}`, refused, "nil"]);
});
