import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { TestSocket } from "../support/websocket.ts";

const ROOT = resolve(import.meta.dir, "../..");
const MAIN = [process.execPath, join(ROOT, "src/main.ts")];
const PASSWORD = "s3cret";
const USERS = {
  users: [
    { username: "ops", password: PASSWORD, roles: ["read", "write"] },
    { username: "eye", password: PASSWORD, roles: ["read"] },
  ],
};

let node: Connmix;

beforeAll(async () => {
  node = await Connmix.start("dev", {
    ...freePorts({ entry: join(ROOT, "lua/entry.lua") }),
    cluster: { advertise: "127.0.0.1" },
    access: USERS,
  });
});

afterAll(async () => {
  await node.stop();
});

interface Run {
  code: number;
  out: string;
  err: string;
}

const AS_OPS = { CONNMIX_USER: "ops", CONNMIX_PASSWORD: PASSWORD };

function start(
  [command = "", ...args]: string[],
  env: Record<string, string> = AS_OPS,
  stdin: "ignore" | Blob = "ignore",
) {
  return Bun.spawn([...MAIN, command, "--api", `http://127.0.0.1:${node.apiPort}`, ...args], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdin,
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function run(...given: Parameters<typeof start>): Promise<Run> {
  const shell = start(...given);
  const [out, err, code] = await Promise.all([
    new Response(shell.stdout).text(),
    new Response(shell.stderr).text(),
    shell.exited,
  ]);
  return { code, out, err };
}

/** A client, with the id that its first message shows. */
async function clientWithId(): Promise<[TestSocket, string]> {
  const socket = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  socket.send("hello");
  const { out } = await run(["consume", "foo", "--count", "1"]);
  return [socket, JSON.parse(out).client_id];
}

describe("against a running engine", () => {
  test("nodes lists the engines, for people and for programs", async () => {
    const table = await run(["nodes"]);
    expect(table.code).toBe(0);
    expect(table.out).toMatch(
      /^NODE +NUMBER +API +SERVERS +VERSION +UP\n[0-9a-z]{10} +\d+ +127\.0\.0\.1:\d+ +websocket:\d+/,
    );
    const json = await run(["nodes", "--json"]);
    expect(JSON.parse(json.out)).toMatchObject({ id: node.nodeId, api_server: `127.0.0.1:${node.apiPort}` });
  });

  test("consume prints JSON lines, call, send and publish reach the client", async () => {
    const [socket, id] = await clientWithId();
    expect(await run(["call", id, "subscribe", "room:1", "room:2"])).toEqual({ code: 0, out: "", err: "" });
    expect((await run(["call", id, "channels"])).out).toBe('["room:1","room:2"]\n');
    await run(["call", id, "set_context_value", "user_id", "10000"]);
    expect(JSON.parse((await run(["call", id, "context"])).out)).toMatchObject({ user_id: 10000 });

    expect(await run(["send", id, "hello, world!"])).toEqual({ code: 0, out: "", err: "" });
    expect(await socket.text()).toBe("hello, world!");
    await run(["send", id], AS_OPS, new Blob(["from stdin"]));
    expect(await socket.text()).toBe("from stdin");
    await run(["send", id, "--binary"], AS_OPS, new Blob([new Uint8Array([255, 0, 7])]));
    expect(await socket.next()).toEqual(Buffer.from([255, 0, 7]));
    await run(["send", id, "--", "--dashes"]);
    expect(await socket.text()).toBe("--dashes");

    expect(await run(["publish", "room:2", "news"])).toEqual({ code: 0, out: '{"total":1,"fail":0}\n', err: "" });
    expect(await socket.text()).toBe("news");
    socket.close();
  });

  test("consume ends on SIGTERM with everything printed", async () => {
    const socket = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    const shell = start(["consume", "foo"]);
    let out = "";
    const reading = (async () => {
      for await (const chunk of shell.stdout) out += new TextDecoder().decode(chunk);
    })();
    for (let i = 0; i < 50; i++) socket.send(String(i));
    await eventually(() => expect(out.split("\n")).toHaveLength(51));
    shell.kill("SIGTERM");
    expect(await shell.exited).toBe(0);
    await reading;
    const numbers = out.trimEnd().split("\n");
    expect(numbers.map((line) => JSON.parse(line).data.msg.data)).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
    socket.close();
  });

  test("top prints a line for each engine and look when it does not write to a terminal", async () => {
    const socket = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    const { code, out } = await run(["top", "--interval", "0.2", "--count", "2"]);
    const lines = out.trimEnd().split("\n");
    expect(code).toBe(0);
    expect(lines[0]).toBe("TIME API CLIENTS IN/s OUT/s ERRORS/s QUEUED NODE");
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(/^\d{4}-\S+Z 127\.0\.0\.1:\d+ 1 \S+ \S+ \S+ \d+ [0-9a-z]{10}$/);
    socket.close();
  });

  test("top draws a screen on a terminal, and q ends it", async () => {
    const decoder = new TextDecoder();
    let screen = "";
    const shell = Bun.spawn([...MAIN, "top", "--interval", "0.2", "--api", `http://127.0.0.1:${node.apiPort}`], {
      env: { PATH: process.env.PATH ?? "", TERM: "xterm-256color", ...AS_OPS },
      terminal: {
        cols: 100,
        rows: 20,
        data: (_, bytes) => {
          screen += decoder.decode(bytes);
        },
      },
    });
    await eventually(() => expect(screen).toContain("engines: 1"));
    expect(screen).toContain("QUEUED");
    expect(screen).toContain("TOPIC");
    shell.terminal?.write("q");
    expect(await shell.exited).toBe(0);
    await eventually(() => expect(screen).toEndWith("\x1b[?25h\x1b[?1049l"));
  });
});

describe("failures are one line, with an exit code", () => {
  const one = (line: RegExp) => expect.stringMatching(new RegExp(`^${line.source}\\n$`));

  test("1 when the cluster says no", async () => {
    expect(await run(["send", "1", "x"])).toEqual({ code: 1, out: "", err: one(/mesh\.send: .*1.*/) });
    expect(await run(["call", "1", "context"])).toEqual({ code: 1, out: "", err: one(/conn\.call: .+/) });
    expect(await run(["nodes"], {})).toEqual({ code: 1, out: "", err: one(/http:\S+: 401 for \/v1\/nodes: .+/) });
    const wrong = { CONNMIX_USER: "ops", CONNMIX_PASSWORD: "guess" };
    expect(await run(["consume", "foo"], wrong)).toEqual({
      code: 1,
      out: "",
      err: one(/.*wrong username or password/),
    });
    const reader = { CONNMIX_USER: "eye", CONNMIX_PASSWORD: PASSWORD };
    expect(await run(["consume", "foo"], reader)).toEqual({ code: 1, out: "", err: one(/queue\.consume: .*write.*/) });
  });

  test("1 when nobody is there, or it is not an engine", async () => {
    const options = { env: { PATH: process.env.PATH ?? "", ...AS_OPS }, stdout: "pipe", stderr: "pipe" } as const;
    const closed = Bun.spawn([...MAIN, "nodes", "--api", "http://127.0.0.1:9"], options);
    expect(await closed.exited).toBe(1);
    expect(await new Response(closed.stderr).text()).toBe("http://127.0.0.1:9: connection refused\n");
    const center = Bun.spawn([...MAIN, "send", "1", "x", "--api", `http://127.0.0.1:${node.centerApiPort}`], options);
    expect(await center.exited).toBe(1);
    expect(await new Response(center.stderr).text()).toMatch(/^.+center.+\n$/);
  });

  test("2 when the command line makes no sense", async () => {
    for (const args of [
      ["send"],
      ["call", "1"],
      ["consume"],
      ["consume", "foo", "-n", "0"],
      ["top", "--interval", "x"],
    ]) {
      const { code, err } = await run(args);
      expect(code).toBe(2);
      expect(err).not.toBe("");
    }
    const { code, err } = await run(["nodes", "--bogus"]);
    expect([code, err.split("\n")[0]]).toEqual([2, "unknown option --bogus"]);
  });
});

test("--help shows the options and examples", async () => {
  for (const command of ["nodes", "send", "publish", "consume", "call", "top"]) {
    const { code, out } = await run([command, "--help"]);
    expect(code).toBe(0);
    expect(out).toContain("--api");
    expect(out).toContain(`EXAMPLES\n\n  connmix ${command} `.slice(0, 14));
    expect(out).toContain(`connmix ${command}`);
  }
});

// The last one, since it leaves messages in the topic.
test("consume ends quietly when its reader has gone", async () => {
  const socket = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  for (let i = 0; i < 50; i++) socket.send(String(i));
  const api = `--api http://127.0.0.1:${node.apiPort}`;
  const pipe = Bun.spawn(["bash", "-c", `set -o pipefail; ${MAIN.join(" ")} consume foo ${api} | head -n 1`], {
    env: { PATH: process.env.PATH ?? "", ...AS_OPS },
    stdout: "pipe",
    stderr: "pipe",
  });
  expect(await pipe.exited).toBe(0);
  expect(await new Response(pipe.stdout).text()).toMatch(/^\{.*\}\n$/);
  expect(await new Response(pipe.stderr).text()).toBe("");
  socket.close();
});
