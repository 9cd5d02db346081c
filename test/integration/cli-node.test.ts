import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stringify } from "yaml";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { TestSocket } from "../support/websocket.ts";

setDefaultTimeout(60_000);

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

async function endOf(node: Connmix): Promise<{ code: number; stderr: string }> {
  const code = await node.exited;
  await node.kill();
  return { code, stderr: node.stderr };
}

describe("a start that fails is one clear line on stderr and exit code 1", () => {
  test("a port in use", async () => {
    const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { code, stderr } = await endOf(new Connmix("dev", freePorts({ port: taken.port })));
    taken.stop(true);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^[^\n]*127\.0\.0\.1:\d+[^\n]*in use[^\n]*\n$/);
    expect(stderr).toContain(String(taken.port));
  });

  test("a missing entry script", async () => {
    const { code, stderr } = await endOf(new Connmix("dev", freePorts({ entry: "nope.lua" })));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^\S+connmix\.yaml:\d+: engine\.servers\[0\]\.entry: found "nope\.lua", expected [^\n]*\n$/);
  });

  test("a center that is not there", async () => {
    const { code, stderr } = await endOf(
      new Connmix("engine", freePorts({}, { centerRegistry: `127.0.0.1:${freePort()}` })),
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^[^\n]*127\.0\.0\.1:\d+[^\n]*\n$/);
  });

  test("a broken configuration", async () => {
    const { code, stderr } = await endOf(new Connmix("dev", freePorts({ protocol: "udp" })));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^\S+connmix\.yaml:\d+: engine\.servers\[0\]\.protocol: found "udp", expected websocket or socket\n$/,
    );
  });
});

test("banner, version line, then one log line per step", async () => {
  const node = await Connmix.start("dev", freePorts());
  const version = node.lines.findIndex((line) => line.startsWith("connmix 1.0.0, bun "));
  expect(version).toBeGreaterThan(4);
  const steps = node.lines.slice(version + 1).filter((line) => line !== "");
  expect(steps.length).toBeGreaterThan(5);
  for (const line of steps) {
    expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} {2}(INFO |WARN ) [\w/.-]+\.ts:\d+ {2}\S/);
  }
  expect(await node.stop()).toBe(0);
});

test("the log file has the same lines, and the last one of the drain", async () => {
  const node = await Connmix.start("dev", freePorts());
  node.signal("SIGTERM");
  expect(await node.exited).toBe(0);
  const printed = node.lines.filter((line) => /^\d{4}-/.test(line));
  expect(node.logFile().trimEnd().split("\n")).toEqual(printed);
  await node.kill();
});

test("SIGHUP takes over an edited file at once, and a broken edit changes nothing", async () => {
  const config = freePorts();
  const node = await Connmix.start("dev", config);
  node.writeConfig({ ...config, logging: { level: "chatty", filename: join(node.folder, "connmix.log") } });
  node.signal("SIGHUP");
  await node.line(/ERROR.*the configuration was not reloaded/);
  await node.line(/logging\.level: found "chatty", expected debug, info, warn or error/);
  node.writeConfig({ ...config, logging: { level: "debug", filename: join(node.folder, "connmix.log") } });
  node.signal("SIGHUP");
  await node.line(/configuration reloaded: logging\.level/);
  expect(await node.stop()).toBe(0);
});

test("an edit is seen without a signal; users count at once", async () => {
  const config = freePorts();
  const node = await Connmix.start("dev", config);
  const url = `http://127.0.0.1:${node.apiPort}/v1/nodes`;
  expect((await fetch(url)).status).toBe(200);
  node.writeConfig({ ...config, access: { users: [{ username: "a", password: "b", roles: ["read"] }] } });
  await node.line(/configuration reloaded: access\.users/);
  expect((await fetch(url)).status).toBe(401);
  expect((await fetch(url, { headers: { authorization: `Basic ${btoa("a:b")}` } })).status).toBe(200);
  expect(await node.stop()).toBe(0);
});

test("a drain that takes too long is cut off after drainTimeout, with exit code 0", async () => {
  const node = await Connmix.start(
    "dev",
    { ...freePorts({ entry: "slow.lua" }), drainTimeout: 1 },
    { files: { "slow.lua": "function on_message(msg, conn) end\nfunction on_close() mix.sleep(50) end\n" } },
  );
  const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  const started = performance.now();
  node.signal("SIGTERM");
  expect(await node.exited).toBe(0);
  expect(performance.now() - started).toBeLessThan(5000);
  expect((await client.closed).code).toBeGreaterThan(1000);
  await node.kill();
});

test("a reader of its output that goes away does not end it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "connmix-pipe-"));
  const [file, log] = [join(folder, "c.yaml"), join(folder, "c.log")];
  await Bun.write(file, stringify({ ...freePorts(), logging: { filename: log } }));
  const node = Bun.spawn([process.execPath, MAIN, "dev", "-f", file], { stdout: "pipe", stderr: "ignore" });
  const reader = node.stdout.getReader();
  let text = "";
  while (!text.includes("start the protocol server")) text += Buffer.from((await reader.read()).value ?? []).toString();
  await reader.cancel();

  const api = `http://127.0.0.1:${/start the api server \(.*:(\d+)\)/.exec(text)?.[1]}`;
  for (let level = 0; level < 3; level++) {
    await Bun.write(
      file,
      stringify({ ...freePorts(), logging: { filename: log, level: ["debug", "info", "debug"][level] } }),
    );
    node.kill("SIGHUP");
    await eventually(() => expect(readFileSync(log, "utf8").match(/configuration reloaded/g)).toHaveLength(level + 1));
    expect((await fetch(`${api}/healthz`)).status).toBe(200);
  }
  node.kill("SIGTERM");
  expect(await node.exited).toBe(0);
  rmSync(folder, { recursive: true });
});
