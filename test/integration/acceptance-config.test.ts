import { afterEach, describe, expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const SCRIPT = `
function on_message(msg, conn)
  if msg.data == "loop" then while true do end end
  if msg.data == "option" then
    return conn:send(mix.json_encode({ mix.server.option("greeting"), mix.server.option("count"), mix.server.option("path") }))
  end
  if msg.data == "flood" then
    return conn:send(string.rep("x", 15000000))
  end
  conn:send(msg.data)
end
`;

let node: Connmix;
afterEach(() => node.stop());

const url = (path = "") => `ws://127.0.0.1:${node.serverPort()}${path}`;

/** The configuration of a test, with changes to its one server, its engine and the rest. */
function configured(server: object = {}, engine: object = {}, rest: object = {}): object {
  return { ...freePorts({ entry: "entry.lua", ...server }, engine), ...rest };
}

async function start(server: object = {}, engine: object = {}, rest: object = {}): Promise<void> {
  node = await Connmix.start("dev", configured(server, engine, rest), { files: { "entry.lua": SCRIPT } });
}

/** Saves the file; resolves when the node says that it took the keys over. */
async function edit(config: object, ...keys: string[]): Promise<void> {
  const before = node.lines.length;
  node.writeConfig(config);
  node.signal("SIGHUP");
  await eventually(() => {
    const line = node.lines.slice(before).find((text) => text.includes("configuration reloaded: "));
    for (const key of keys) expect(line).toContain(key);
  });
}

test("a file as the original system writes it, with values from the environment", async () => {
  const config = {
    center: { registry: { port: 0, bind: "127.0.0.1" }, api_server: { port: 0, bind: "127.0.0.1" } },
    engine: {
      mesh_point: { port: 0, bind: "127.0.0.1" },
      // biome-ignore-start lint/suspicious/noTemplateCurlyInString: the notation of the file
      api_server: { port: 0, bind: "${ACCEPTANCE_BIND}", read_timeout: 60, write_timeout: 60, read_buffer_size: 1024 },
      servers: [
        {
          port: 0,
          bind: "127.0.0.1",
          protocol: "websocket",
          options: [
            { name: "path", value: "/chat" },
            { name: "greeting", value: "${ACCEPTANCE_GREETING:-good day}" },
            { name: "count", value: 3 },
          ],
          entry: "${ACCEPTANCE_ENTRY:-nothing}.lua",
          bytecode_expires: 10,
          read_timeout: 60,
          write_timeout: 60,
          read_buffer_size: 1024,
          write_buffer_size: 1024,
        },
      ],
      // biome-ignore-end lint/suspicious/noTemplateCurlyInString: the notation of the file
    },
  };
  node = await Connmix.start("dev", config, {
    files: { "entry.lua": SCRIPT },
    env: { ACCEPTANCE_BIND: "127.0.0.1", ACCEPTANCE_ENTRY: "entry", ACCEPTANCE_GREETING: "" },
  });
  const client = await TestSocket.connect(url("/chat"));
  client.send("option");
  expect(await client.json()).toEqual(["good day", 3, "/chat"]);
  await expect(TestSocket.connect(url("/"))).rejects.toThrow();
  await node.line(/connmix\.yaml:\d+: engine\.servers\[0\]\.readBufferSize is a limit here: .* 1024 bytes is refused/);
});

describe("while running", () => {
  test("logging.level", async () => {
    await start({ readTimeout: 0.5 });
    await edit(
      configured({ readTimeout: 0.5 }, {}, { logging: { level: "debug", filename: "connmix.log" } }),
      "logging.level",
    );
    await (await TestSocket.connect(url())).closed;
    await node.line(/DEBUG .*sent nothing for 0\.5 s: closed/);
    const before = node.lines.length;
    node.writeConfig(configured({ readTimeout: 0.5 }, {}, { logging: { level: "error", filename: "connmix.log" } }));
    node.signal("SIGHUP");
    const client = await TestSocket.connect(url());
    await client.closed;
    await Bun.sleep(200);
    expect(node.lines.slice(before).filter((line) => / (DEBUG|WARN) /.test(line))).toEqual([]);
  });

  test("users, for open API connections too", async () => {
    const user = { username: "app", password: "s3cret", roles: ["read", "write"] };
    const headers = { authorization: `Basic ${btoa("app:s3cret")}` };
    const api = () => `ws://127.0.0.1:${node.apiPort}/ws/v1`;
    await start();
    const anonymous = await TestSocket.connect(api());
    anonymous.sendJson({ method: "queue.consume", params: ["foo"], id: 1 });
    expect((await anonymous.json()).result).toEqual({ success: true });

    await edit(configured({}, {}, { access: { users: [user] } }), "access.users");
    expect((await anonymous.closed).code).toBe(1008);
    await expect(TestSocket.connect(api())).rejects.toThrow();
    const app = await TestSocket.connect(api(), headers);
    app.sendJson({ method: "queue.consume", params: ["foo"], id: 1 });
    expect((await app.json()).result).toEqual({ success: true });

    await edit(configured({}, {}, { access: { users: [{ ...user, roles: ["read"] }] } }), "access.users");
    app.sendJson({ method: "mesh.publish", params: [{ channel: "c", data: "d" }], id: 2 });
    expect((await app.json()).error.code).toBe(103);
    app.sendJson({ m: "server.ping", i: 3 });
    expect(await app.json()).toEqual({ E: null, r: { s: "server.pong" }, i: 3 });

    await edit(configured({}, {}, { access: { users: [{ ...user, password: "changed" }] } }), "access.users");
    expect((await app.closed).code).toBe(1008);

    await edit(configured(), "access.users");
    expect((await fetch(`http://127.0.0.1:${node.apiPort}/v1/nodes`)).status).toBe(200);
  });

  test("luavm.maxExecTime", async () => {
    await start({}, { luavm: { maxExecTime: 5000 } });
    await edit(configured({}, { luavm: { maxExecTime: 150 } }), "engine.luavm.maxExecTime");
    const client = await TestSocket.connect(url());
    const started = performance.now();
    client.send("loop");
    client.send("after");
    expect(await client.text()).toBe("after");
    expect(performance.now() - started).toBeLessThan(2500);
    await node.line(/entry\.lua:3: stopped: it ran longer than 150 ms/);
  });

  test("the limits of a server, for open connections too", async () => {
    await start();
    const patient = await TestSocket.connect(url());
    patient.send("x".repeat(500_000));
    expect((await patient.text()).length).toBe(500_000);
    await edit(configured({ readBufferSize: 100_000, maxConnections: 2 }), "readBufferSize", "maxConnections");
    const second = await TestSocket.connect(url());
    const third = await TestSocket.connect(url());
    expect((await third.closed).code).toBe(1013);
    patient.send("x".repeat(200_000));
    expect((await patient.closed).code).toBe(1009);
    second.send("x".repeat(200_000));
    expect((await second.closed).code).toBe(1009);
    await eventually(async () => {
      expect(metric(await scrape(node.apiPort), "connmix_engine_servers_clients")).toBe(0);
    });

    const slow = await TestSocket.connect(url());
    slow.send("flood");
    expect((await slow.text()).length).toBe(15_000_000);
    await edit(configured({ writeBufferSize: 20_000, readTimeout: 0.5 }), "writeBufferSize", "readTimeout");
    expect((await slow.closed).code).toBe(1000);
    const flooded = await TestSocket.connect(url());
    flooded.send("flood");
    expect((await flooded.closed).code).toBe(1013);
  });

  test("the limits of the API server, for new connections", async () => {
    await start();
    const api = (readBufferSize: number) => ({ apiServer: { port: 0, bind: "127.0.0.1", readBufferSize } });
    await edit(configured({}, api(1000)), "engine.apiServer.readBufferSize");
    const backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    backend.sendJson({ method: "server.ping", params: [], id: "x".repeat(2000) });
    expect((await backend.closed).code).toBe(1009);
    const response = await fetch(`http://127.0.0.1:${node.apiPort}/v1/mesh/publish`, {
      method: "POST",
      body: JSON.stringify({ channel: "c", data: "x".repeat(2000) }),
    });
    expect(response.status).toBe(413);
  });

  test("what waits for the next start says so; a broken edit is logged once, with line and key", async () => {
    await start();
    node.writeConfig(configured({ port: 1, entry: "other.lua", byteCodeExpires: 3 }));
    node.signal("SIGHUP");
    for (const key of ["port", "entry", "byteCodeExpires"]) {
      await node.line(
        new RegExp(
          `connmix\\.yaml:\\d+: engine\\.servers\\[0\\]\\.${key} changed: this takes effect at the next start`,
        ),
      );
    }
    node.writeConfig(configured({ readTimeout: "soon", colour: "red" }));
    await node.line(/the configuration was not reloaded, the old one stays:/);
    await node.line(/connmix\.yaml:\d+: engine\.servers\[0\]\.readTimeout: found "soon", expected seconds, 0 or more/);
    await node.line(/connmix\.yaml:\d+: engine\.servers\[0\]\.colour: /);
    // Two more looks at the file.
    await Bun.sleep(2500);
    expect(node.lines.filter((line) => line.includes("was not reloaded")).length).toBe(1);
    const client = await TestSocket.connect(url());
    client.send("still here");
    expect(await client.text()).toBe("still here");
  });
});
