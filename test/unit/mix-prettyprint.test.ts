import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { installJson } from "../../src/lua/mix/json.ts";
import { evaluate, stateWith } from "../support/library.ts";

const SOURCE = readFileSync(resolve(import.meta.dir, "../../lua/utils/prettyprint.lua"), "utf8");

/** What `print(…)` writes, a line each, with prettyprint in effect. */
function printed(args: string): string[] {
  const L = stateWith(installJson);
  evaluate(L, `shown = {}; print = function(...) shown[#shown + 1] = table.concat({ ... }, "|") end`);
  evaluate(L, SOURCE);
  const lines = evaluate(L, `print(${args}); return table.concat(shown, "\\n")`)[0];
  return String(lines).split("\n");
}

test("plain values stay as they are", () => {
  expect(printed(`"a\\tb", 1, 1.5, nil, true, nil`)).toEqual(["a\tb|1|1.5|nil|true|nil"]);
});

test("tables are shown, keys in a stable order", () => {
  expect(printed(`{ b = 1, a = { "x", mix.null, [10] = true }, [2] = 'q"\\n\\1', [true] = {} }`)).toEqual([
    "{",
    '    2 = "q\\"\\n\\x01"',
    '    "a" = {',
    '        1 = "x"',
    "        2 = null",
    "        10 = true",
    "    }",
    '    "b" = 1',
    "    true = {}",
    "}",
  ]);
});

test("a table within itself ends", () => {
  expect(printed("(function() local t = { n = 1 }; t.t = { t }; return t end)()")).toEqual([
    "{",
    '    "n" = 1',
    '    "t" = {',
    "        1 = <contains itself>",
    "    }",
    "}",
  ]);
});
