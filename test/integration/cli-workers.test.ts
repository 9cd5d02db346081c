import { expect, setDefaultTimeout, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { freePort } from "../support/ports.ts";
import { TestSocket } from "../support/websocket.ts";

setDefaultTimeout(60_000);

const SCRIPT = "function on_message(msg, conn) conn:send('echo ' .. msg.data) end\n";

/** Ports that several processes can share have to be known beforehand. */
function sharedPorts(): { config: Record<string, unknown>; client: number; api: number } {
  const [client, api] = [freePort(), freePort()];
  const config = freePorts({ port: client, entry: "echo.lua" }, { apiServer: { port: api, bind: "127.0.0.1" } });
  return { config, client, api };
}

const withScript = { files: { "echo.lua": SCRIPT } };

function workers(node: Connmix): { number: number; pid: number }[] {
  return node.lines.flatMap((line) => {
    const [, number, pid] = /worker (\d+) is process (\d+)/.exec(line) ?? [];
    return pid === undefined ? [] : [{ number: Number(number), pid: Number(pid) }];
  });
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("workers share the ports, sum their metrics, are replaced when they die, and drain together", async () => {
  const { config, client, api } = sharedPorts();
  const node = await Connmix.start("single", config, { ...withScript, args: ["-p", "2"], servers: 2 });
  await node.line(/2 workers are up/);
  const [first, second] = workers(node);

  const open = new Set<TestSocket>();
  for (let i = 0; i < 40; i++) {
    const socket = await TestSocket.connect(`ws://127.0.0.1:${client}`);
    open.add(socket);
    void socket.closed.then(() => open.delete(socket));
  }
  await eventually(async () => expect(metric(await scrape(api), "connmix_engine_servers_clients")).toBe(40));
  const { nodes } = (await (await fetch(`http://127.0.0.1:${api}/v1/nodes`)).json()) as { nodes: unknown[] };
  expect(nodes).toHaveLength(2);

  process.kill(second!.pid, "SIGKILL");
  await node.line(/worker \d \(process \d+\) ended \(SIGKILL\), another is started/);
  await eventually(() => expect(workers(node)).toHaveLength(3));
  await node.lineTimes(/start the protocol server/, 3);
  await eventually(async () => {
    const left = metric(await scrape(api), "connmix_engine_servers_clients");
    expect(left).toBeGreaterThan(0);
    expect(left).toBe(open.size);
  });
  const survivor = [...open][0]!;
  survivor.send("still there");
  expect(await survivor.text()).toBe("echo still there");

  // As a service manager does: everyone is told, and the workers once more by their supervisor.
  const pids = workers(node).map(({ pid }) => pid);
  for (const pid of pids.filter(alive)) process.kill(pid, "SIGTERM");
  node.signal("SIGTERM");
  expect((await survivor.closed).code).toBe(1001);
  expect(await node.exited).toBe(0);
  expect(node.lines.filter((line) => line.includes("drain: done"))).toHaveLength(2);
  expect([first!.pid, ...pids].filter(alive)).toEqual([]);
  await node.kill();
});

test("workers whose supervisor was killed end by themselves", async () => {
  const { config } = sharedPorts();
  const node = await Connmix.start("single", config, { ...withScript, args: ["-p", "2"], servers: 2 });
  await node.line(/2 workers are up/);
  const pids = workers(node).map(({ pid }) => pid);
  expect(pids.filter(alive)).toHaveLength(2);
  await node.kill();
  await eventually(() => expect(pids.filter(alive)).toEqual([]));
});

test("a worker that cannot start ends all of them with its error and exit code 1", async () => {
  const { config } = sharedPorts();
  const node = new Connmix("single", config, { args: ["-p", "2"] });
  expect(await node.exited).toBe(1);
  expect(node.stderr).toMatch(/engine\.servers\[0\]\.entry: found "echo\.lua", expected a Lua script/);
  expect(node.stderr).toMatch(/^worker \d \(process \d+\) ended while starting \(1\)$/m);
  expect(node.lines.join("\n")).not.toContain("another is started");
  await node.kill();
});

test("a port that another program has is not shared with it", async () => {
  const { config, client } = sharedPorts();
  const other = Bun.serve({ hostname: "127.0.0.1", port: client, reusePort: true, fetch: () => new Response("mine") });
  const node = new Connmix("single", config, { ...withScript, args: ["-p", "2"] });
  expect(await node.exited).toBe(1);
  await other.stop(true);
  expect(node.stderr).toMatch(/^[^\n]*in use[^\n]*\n$/);
  await node.kill();
});

test("a port of 0 cannot be shared", async () => {
  const node = new Connmix("single", freePorts(), { args: ["-p", "2"] });
  expect(await node.exited).toBe(1);
  expect(node.stderr).toMatch(
    /:\d+: engine\.apiServer\.port: found 0, expected a port that several workers can share\n$/,
  );
  await node.kill();
});
