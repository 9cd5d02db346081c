import { expect, test } from "bun:test";
import { checkScript } from "../../src/lua/check.ts";

test("a good script has no problems", () => {
  const source = `
    local counts = {}
    total = 0
    function on_message(msg, conn)
      total = total + 1
      conn:send(mix.json_encode({ n = total, room = "room:" .. string.format("%d", total) }))
    end`;
  expect(checkScript(source, "lua/entry.lua", "websocket")).toEqual([]);
});

test("a syntax error has its line", () => {
  expect(checkScript("function on_message()\n  local x = = 1\nend", "lua/entry.lua", "websocket")).toEqual([
    { line: 2, message: "unexpected symbol near '='", severity: "error" },
  ]);
});

test("globals that nothing sets are found in nested functions too", () => {
  const source =
    "function on_message(msg, conn)\n  local f = function()\n    return mssg.data\n  end\n  prnt(f())\nend";
  expect(checkScript(source, "e.lua", "websocket")).toEqual([
    { line: 3, message: 'nothing sets the global "mssg"', severity: "warning" },
    { line: 5, message: 'nothing sets the global "prnt"', severity: "warning" },
  ]);
});

test("missing and misnamed callbacks", () => {
  const problems = checkScript("function on_mesage(msg) end", "e.lua", "socket");
  expect(problems.map(({ line, severity }) => [line, severity])).toEqual([
    [1, "error"],
    [1, "error"],
    [1, "warning"],
  ]);
  expect(problems.map(({ message }) => message.split(" ", 1)[0])).toEqual([
    "protocol_input",
    "on_message",
    "on_mesage",
  ]);
});

test("a module may define what seems to be missing", () => {
  const problems = checkScript('require("protocols.text")\nfunction on_message() end', "e.lua", "socket");
  expect(problems.map(({ severity }) => severity)).toEqual(["warning"]);
});
