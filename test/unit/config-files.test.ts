import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { Glob } from "bun";
import { builtinFiles } from "../../src/builtin.ts";
import { entryOf } from "../../src/config/entry.ts";
import { loadConfig } from "../../src/config/load.ts";
import { smallSizes } from "../../src/config/small-sizes.ts";

let folder: string;
const before = process.cwd();

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "connmix-config-")));
});
afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

function write(name: string, content = ""): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const ENTRY = "engine:\n  servers:\n    - port: 1\n      entry: ";

test("every script of the repository is built in, with its present text", async () => {
  const repository = resolve(import.meta.dir, "../..");
  const files = [...new Glob("lua/**/*.lua").scanSync(repository), "conf/connmix.yaml"];
  expect(Object.keys(builtinFiles).sort()).toEqual(files.sort());
  for (const name of files) expect(builtinFiles[name]).toBe(await Bun.file(join(repository, name)).text());
});

describe("the file", () => {
  test("without one, the defaults hold, and paths start from the current folder", () => {
    process.chdir(folder);
    const loaded = loadConfig();
    expect(loaded.file).toBeUndefined();
    expect(loaded.config.logging.filename).toBe(join(folder, "logs/connmix.log"));
    expect(entryOf(loaded, 0)).toEqual({ name: "lua/entry.lua", source: builtinFiles["lua/entry.lua"]! });
  });

  test("conf/connmix.yaml is found by itself", () => {
    write("conf/connmix.yaml", "drainTimeout: 3");
    process.chdir(folder);
    expect(loadConfig()).toMatchObject({ file: "conf/connmix.yaml", config: { drainTimeout: 3 } });
  });

  test("one that was named and is not there is an error that says what to do", () => {
    expect(() => loadConfig("nowhere/c.yaml")).toThrow(/^nowhere\/c\.yaml: cannot read .*connmix init/);
  });
});

describe("relative paths", () => {
  test("start above conf/, from whatever folder", () => {
    const script = write("lua/mine.lua");
    const tls = "      tls: { cert: tls/a.crt, key: /k }";
    const loaded = loadConfig(write("conf/connmix.yaml", `logging: { filename: a.log }\n${ENTRY}lua/mine.lua\n${tls}`));
    expect(entryOf(loaded, 0)).toEqual({ path: script });
    expect(loaded.config.logging.filename).toBe(join(folder, "a.log"));
    expect(loaded.config.engine.servers[0]!.tls).toEqual({ cert: join(folder, "tls/a.crt"), key: "/k" });
  });

  test("start from the file's own folder when that is not conf/", () => {
    const script = write("etc/mine.lua");
    expect(entryOf(loadConfig(write("etc/connmix.yaml", `${ENTRY}mine.lua`)), 0)).toEqual({ path: script });
  });

  test("a file on disk comes before the built-in one of the same name", () => {
    const script = write("lua/entry.lua");
    expect(entryOf(loadConfig(write("conf/connmix.yaml")), 0)).toEqual({ path: script });
  });

  test("an entry that is nowhere is an error that names file, line, key and path", () => {
    const file = write("c.yaml", `${ENTRY}nope.lua`);
    expect(() => entryOf(loadConfig(file), 0)).toThrow(
      `${file}:4: engine.servers[0].entry: found "nope.lua", expected a Lua script, but there is none at ${join(folder, "nope.lua")}`,
    );
  });
});

test("sizes that look like the original's are explained", () => {
  const file = write(
    "c.yaml",
    "engine:\n  apiServer: { readBufferSize: 1024 }\n  servers:\n    - port: 1\n      writeBufferSize: 2048",
  );
  expect(smallSizes(loadConfig(file))).toEqual([
    `${file}:2: engine.apiServer.readBufferSize is a limit here: a larger message than 1024 bytes is refused`,
    `${file}:5: engine.servers[0].writeBufferSize is a limit here: a client for which more than 2048 bytes wait is closed`,
  ]);
  expect(smallSizes(loadConfig(write("d.yaml")))).toEqual([]);
});
