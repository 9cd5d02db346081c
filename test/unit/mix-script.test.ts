import { expect, test } from "bun:test";
import { Scripted } from "../support/scripted.ts";

test("bit is a global and a module", () => {
  expect(
    () => new Scripted(`assert(require("bit") == bit); assert(bit.band(6, 3) == 2); function on_message() end`),
  ).not.toThrow();
});

test("prettyprint is one module under both names", () => {
  const source = `assert(require("prettyprint") == require("utils.prettyprint")); function on_message() end`;
  expect(() => new Scripted(source)).not.toThrow();
});

test("waiting is refused with an error where nothing can wait", () => {
  const source = `
    local value, err = mix.sleep(1)
    assert(value == nil and err:find("cannot wait here"))
    local _, http_err = mix.http.request("GET", "http://127.0.0.1/")
    assert(http_err:find("cannot wait here"))
    function on_message() end`;
  expect(() => new Scripted(source)).not.toThrow();
});

test("mix.time is now; mix.sleep takes seconds", () => {
  const before = Date.now() / 1000;
  const source = `
    assert(mix.time() >= ${before} and mix.time() < ${before} + 60)
    for _, wrong in ipairs({ -1, 1 / 0, 0 / 0, 2 ^ 40, "x", {} }) do
      local ok, err = pcall(mix.sleep, wrong)
      assert(not ok and err:find("bad argument #1"), tostring(wrong))
    end
    function on_message() end`;
  expect(() => new Scripted(source)).not.toThrow();
});
