import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { builtinFiles } from "../../src/builtin.ts";
import { runCommand } from "../support/command.ts";

setDefaultTimeout(60_000);

let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "connmix-cli-")));
});
afterAll(() => rmSync(folder, { recursive: true }));

const connmix = (...args: string[]) => runCommand(args, { cwd: folder });

function write(name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

describe("the command line", () => {
  test("version is one line", async () => {
    const line = `connmix 1.0.0, bun ${Bun.version}, lua5.3+bit, ${process.platform}, ${process.arch}\n`;
    for (const args of [["version"], ["--version"], ["-v"]]) {
      expect(await connmix(...args)).toEqual({ code: 0, stdout: line, stderr: "" });
    }
  });

  test("--help lists the commands, or one command's options, on stdout", async () => {
    const all = await connmix("--help");
    expect(all).toMatchObject({ code: 0, stderr: "" });
    for (const name of ["dev", "single", "center", "engine", "init", "check", "version"]) {
      expect(all.stdout).toMatch(new RegExp(`^ +${name} +\\S`, "m"));
    }
    const one = await connmix("engine", "-h");
    expect(one).toMatchObject({ code: 0, stderr: "" });
    expect(one.stdout).toMatch(/-f, --file=<path>[\s\S]*-p, --workers=<N>/);
  });

  const wrong: [args: string[], problem: string][] = [
    [[], "no command given"],
    [["strat"], 'unknown command "strat"'],
    [["toString"], 'unknown command "toString"'],
    [["dev", "--port", "1"], "unknown option --port"],
    [["dev", "-x"], "unknown option -x"],
    [["dev", "-f"], "--file needs a value"],
    [["dev", "twice"], 'unexpected argument "twice"'],
  ];
  test.each(wrong)("%j is refused with the usage on stderr", async (args, problem) => {
    const { code, stdout, stderr } = await connmix(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toStartWith(`${problem}\n\n`);
    expect(stderr).toContain("USAGE connmix");
    expect(stderr).not.toContain("\x1b");
  });

  test.each(["0", "two", "1.5", "-1", "1000"])("-p %s is refused", async (workers) => {
    const { code, stderr } = await connmix("engine", `--workers=${workers}`);
    expect(code).toBe(2);
    expect(stderr).toBe(`-p: found "${workers}", expected a number of processes from 1 to 256\n`);
  });
});

describe("check", () => {
  test("works with no file at all", async () => {
    const { code, stdout, stderr } = await connmix("check");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe("the built-in configuration: valid\nlua/entry.lua (built-in): compiles (websocket)\n");
  });

  test("names each entry script once", async () => {
    const file = write("good/conf/connmix.yaml", "engine:\n  servers: [{ port: 1 }, { port: 2 }]\n");
    const script = write("good/lua/entry.lua", "function on_message(msg, conn) end\n");
    const { code, stdout } = await connmix("check", "-f", file);
    expect(code).toBe(0);
    expect(stdout).toBe(`${file}: valid\n${script}: compiles (websocket)\n`);
  });

  test("a script that does not compile is named with its line", async () => {
    const file = write("bad/c.yaml", "engine:\n  servers: [{ port: 1, entry: broken.lua }]\n");
    const script = write("bad/broken.lua", "function on_message(msg, conn)\n  local x = = 1\nend\n");
    const { code, stderr } = await connmix("check", "-f", file);
    expect(code).toBe(1);
    expect(stderr).toStartWith(`${script}:2: error: `);
  });

  test("every problem of the configuration is one line, and the exit code is 1", async () => {
    const file = write("c.yaml", "logging:\n  level: loud\nengine:\n  servers:\n    - port: x\n");
    expect(await connmix("check", "-f", file)).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `${file}:2: logging.level: found "loud", expected debug, info, warn or error\n` +
        `${file}:5: engine.servers[0].port: found "x", expected a port from 0 to 65535 (0: any free one)\n`,
    });
  });

  test("missing scripts and certificates are all named", async () => {
    const file = write(
      "m.yaml",
      "engine:\n  servers:\n    - { port: 1, entry: a.lua, tls: { cert: c.pem, key: k.pem } }\n",
    );
    const { code, stderr } = await connmix("check", "-f", file);
    expect(code).toBe(1);
    expect(stderr).toContain(`engine.servers[0].tls.cert: cannot read ${join(folder, "c.pem")}`);
    expect(stderr).toContain(`${file}:3: engine.servers[0].entry: found "a.lua"`);
  });
});

describe("init", () => {
  test("writes conf/ and lua/, and what it wrote is valid", async () => {
    const { code, stdout } = await connmix("init", "fresh");
    expect(code).toBe(0);
    for (const [name, content] of Object.entries(builtinFiles)) {
      expect(stdout).toContain(`written  fresh/${name}\n`);
      expect(readFileSync(join(folder, "fresh", name), "utf8")).toBe(content);
    }
    expect((await runCommand(["check"], { cwd: join(folder, "fresh") })).code).toBe(0);
  });

  test("keeps what is there and says so, unless told to overwrite it", async () => {
    const mine = write("kept/lua/entry.lua", "-- mine\n");
    const first = await connmix("init", "kept");
    expect(first.code).toBe(0);
    expect(first.stdout).toContain("skipped  kept/lua/entry.lua");
    expect(first.stdout).toContain("written  kept/conf/connmix.yaml");
    expect(readFileSync(mine, "utf8")).toBe("-- mine\n");

    const second = await connmix("init", "kept", "--force");
    expect(second.stdout).not.toContain("skipped");
    expect(readFileSync(mine, "utf8")).toBe(builtinFiles["lua/entry.lua"]!);
  });

  test("a folder that cannot be written is one clear line", async () => {
    write("file-in-the-way", "");
    const { code, stderr } = await connmix("init", "file-in-the-way");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^cannot write file-in-the-way\/conf\/connmix\.yaml \(.*\)\n$/);
    expect(existsSync(join(folder, "file-in-the-way/conf"))).toBe(false);
  });
});
