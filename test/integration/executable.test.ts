import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { type CommandResult, runCommand } from "../support/command.ts";
import { Connmix, freePorts } from "../support/connmix.ts";
import { LineClient } from "../support/line-client.ts";
import { metric, scrape } from "../support/metrics.ts";
import { freePort } from "../support/ports.ts";
import { TestSocket } from "../support/websocket.ts";

setDefaultTimeout(60_000);

const ROOT = resolve(import.meta.dir, "../..");

let folder: string;
let program: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "connmix-executable-"));
  program = join(folder, "connmix");
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const build = Bun.spawn(["/bin/sh", "-c", scripts.build.replaceAll("dist/", `${folder}/`)], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${join(ROOT, "node_modules/.bin")}${delimiter}${process.env.PATH}` },
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaints = await new Response(build.stderr).text();
  if ((await build.exited) !== 0) throw new Error(complaints);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** A folder with nothing in it. */
function emptyFolder(): string {
  return mkdtempSync(join(folder, "empty-"));
}

/** The executable with nothing in its environment. */
const bare = () => ["/usr/bin/env", "-i", "PATH=", program];

function run(args: string[], cwd = emptyFolder()): Promise<CommandResult> {
  return runCommand(args, { cwd, program: bare() });
}

function start(command: string, config: object, options: object = {}): Promise<Connmix> {
  return Connmix.start(command, config, { program: bare(), ...options });
}

test("the build leaves one file", () => {
  expect(readdirSync(folder).filter((name) => !name.startsWith("empty-"))).toEqual(["connmix"]);
});

test("it says its version, at once", async () => {
  const began = performance.now();
  const { code, stdout } = await run(["version"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^connmix \d+\.\d+\.\d+, bun /);
  expect(performance.now() - began).toBeLessThan(2000);
});

test("it checks its built-in configuration and scripts", async () => {
  const { code, stdout } = await run(["check"]);
  expect(code).toBe(0);
  expect(stdout).toContain("lua/entry.lua (built-in): compiles");
});

test("init writes what the repository has, and overwrites nothing unless told to", async () => {
  const cwd = emptyFolder();
  expect((await run(["init"], cwd)).code).toBe(0);
  for (const name of ["conf/connmix.yaml", "lua/entry.lua", "lua/examples/chat-room/entry.lua"]) {
    expect(readFileSync(join(cwd, name), "utf8")).toBe(readFileSync(join(ROOT, name), "utf8"));
  }
  writeFileSync(join(cwd, "lua/entry.lua"), "-- mine\n");
  expect((await run(["init"], cwd)).stdout).toContain("skipped");
  expect(readFileSync(join(cwd, "lua/entry.lua"), "utf8")).toBe("-- mine\n");
  await run(["init", "--force"], cwd);
  expect(readFileSync(join(cwd, "lua/entry.lua"), "utf8")).toBe(readFileSync(join(ROOT, "lua/entry.lua"), "utf8"));
  expect((await run(["check"], cwd)).code).toBe(0);
});

describe("dev", () => {
  const LINES = `
local text = require("protocols.text")
protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
function on_message(msg, conn)
  conn:send(string.format("%s %d", msg:upper(), #msg))
end
`;
  let node: Connmix;
  let api: string;

  beforeAll(async () => {
    const servers = [
      { port: 0, bind: "127.0.0.1", entry: "lua/entry.lua" },
      { port: 0, bind: "127.0.0.1", entry: "lines.lua", protocol: "socket" },
    ];
    const began = performance.now();
    node = await start("dev", freePorts({}, { servers }), { files: { "lines.lua": LINES }, servers: 2 });
    expect(performance.now() - began).toBeLessThan(5000);
    api = `http://127.0.0.1:${node.apiPort}`;
  });

  afterAll(() => node.kill());

  test("serves the walk-through with its own shell commands", async () => {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    client.send("test");
    const { stdout } = await run(["consume", "foo", "--count", "1", "--api", api]);
    const event = JSON.parse(stdout);
    expect(event).toMatchObject({ queue: "foo", data: { msg: { data: "test" } } });
    expect((await run(["send", event.client_id, "hello, world!", "--api", api])).code).toBe(0);
    expect(await client.text()).toBe("hello, world!");
    expect((await run(["call", event.client_id, "subscribe", "chat", "--api", api])).code).toBe(0);
    expect((await run(["publish", "chat", "to all", "--api", api])).code).toBe(0);
    expect(await client.text()).toBe("to all");
    client.close();
  });

  test("nodes and top show the engine", async () => {
    expect((await run(["nodes", "--api", api])).stdout).toContain(node.nodeId);
    expect((await run(["top", "--count", "1", "--api", api])).stdout).toContain(node.nodeId);
  });

  test("runs Lua that requires a built-in library", async () => {
    const client = await LineClient.connect(node.serverPort(1));
    client.send("hello\n");
    expect(await client.line()).toBe("HELLO 5");
    client.close();
  });

  test("serves the console and the metrics", async () => {
    const page = await fetch(`${api}/console`);
    expect(await page.text()).toContain("Replay the walk-through");
    expect(await (await fetch(`${api}/console/state`)).json()).toMatchObject({ node: { id: node.nodeId } });
    expect(metric(await scrape(node.apiPort), "connmix_build_info")).toBe(1);
  });

  test("names source files and lines in its log", () => {
    const [line] = node.lines.filter((text) => text.includes("start the protocol server"));
    expect(line).toMatch(/ INFO {2}engine\.ts:\d+ {2}start the protocol server/);
  });
});

test("-p 2 runs two engines on the same ports, and replaces one that dies", async () => {
  const [client, api] = [freePort(), freePort()];
  const config = freePorts({ port: client }, { apiServer: { port: api, bind: "127.0.0.1" } });
  const node = await start("single", config, { args: ["-p", "2"], servers: 2 });
  try {
    await node.line(/2 workers are up/);
    const { nodes } = (await (await fetch(`http://127.0.0.1:${api}/v1/nodes`)).json()) as { nodes: unknown[] };
    expect(nodes).toHaveLength(2);
    const pids = node.lines.flatMap((line) => /worker \d is process (\d+)/.exec(line)?.[1] ?? []);
    expect(pids.length).toBe(2);
    process.kill(Number(pids[0]), "SIGKILL");
    await node.lineTimes(/start the protocol server/, 3);
  } finally {
    await node.kill();
  }
});

test("what it does not know is one clear line and an exit code", async () => {
  const { code, stderr } = await run(["check", "-f", "nowhere.yaml"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^nowhere\.yaml: cannot read the configuration [^\n]*\n$/);
});
