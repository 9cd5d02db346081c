import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { resolve } from "node:path";
import { Connmix, freePorts } from "../support/connmix.ts";
import { metric } from "../support/metrics.ts";

const SRC = resolve(import.meta.dir, "../../src");

/** Throws and rejects where nobody catches, and shows that the process lives on. */
const PROGRAM = `
import { surviveFaults } from "${SRC}/faults.ts";
import { createLog } from "${SRC}/log.ts";
import { MetricSet } from "${SRC}/metrics/metric-set.ts";
surviveFaults(createLog({ level: "info" }));
setTimeout(() => { throw new Error("thrown in a timer"); }, 0);
Promise.reject(new TypeError("nobody waits"));
Promise.reject("not an Error");
setTimeout(() => { throw undefined; }, 0);
const metrics = new MetricSet("1");
setTimeout(async () => console.log(await metrics.text()), 50);
`;

test("an error that nothing caught is logged with its stack and counted in the metrics, and the process goes on", async () => {
  const child = Bun.spawn([process.execPath, "-e", PROGRAM], { stdout: "pipe", stderr: "pipe" });
  const output = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  expect(output).toMatch(/ERROR .*uncaught error: Error: thrown in a timer\n {4}.*at /);
  expect(output).toMatch(/ERROR .*unhandled rejection: TypeError: nobody waits\n {4}/);
  expect(output).toMatch(/ERROR .*unhandled rejection: not an Error\n/);
  expect(output).toMatch(/ERROR .*uncaught error: undefined\n/);
  expect(metric(output, "connmix_process_uncaught_errors_total")).toBe(4);
});

test("SIGTERM while the registry does not answer: the start fails with its own message and nothing else", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const engine = new Connmix("engine", freePorts({}, { centerRegistry: `127.0.0.1:${silent.port}` }));
  try {
    await engine.line(/start the api server/);
    engine.signal("SIGTERM");
    expect(await engine.exited).toBe(1);
    expect(engine.stderr).toMatch(/^cannot reach the center registry .*: no answer within 3 s; .*\n$/);
    expect(engine.lines.filter((line) => / {2}(ERROR|WARN) /.test(line) && !line.includes("access.users"))).toEqual([]);
  } finally {
    await engine.kill();
    silent.stop(true);
  }
});

test("a process that runs out of file descriptors says so, and again when it has some", async () => {
  const limited = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", process.execPath, resolve(SRC, "main.ts")];
  const node = await Connmix.start("dev", freePorts(), { program: limited });
  const clients: Socket[] = [];
  try {
    for (let n = 0; n < 60; n++) clients.push(connect(node.serverPort(), "127.0.0.1").on("error", () => {}));
    await node.line(/WARN .* files are open, and at 64 clients are kept waiting: raise the limit/);
    for (const client of clients) client.destroy();
    await node.line(/INFO .* files are open now, of 64 at most/);
  } finally {
    for (const client of clients) client.destroy();
    await node.kill();
  }
});
