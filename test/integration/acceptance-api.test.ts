import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { TestSocket } from "../support/websocket.ts";

const SCRIPT = `
function on_handshake(client_id, headers, server, conn) conn:send(client_id) end
function on_message(msg, conn)
  if msg.data == "queue" then mix.queue.push("foo", msg) return end
  if msg.data == "wait" then
    local value, err = conn:wait_context_value("user_id", 10)
    return conn:send(mix.json_encode({ value, conn:context() }))
  end
  conn:send(msg.data, msg.type)
end
`;
const USERS = [
  { username: "app", password: "s3cret: with a colon", roles: ["read", "write"] },
  { username: "viewer", password: "look", roles: ["read"], host: "127.0.0.*" },
  { username: "elsewhere", password: "far", roles: ["read", "write"], host: "10.0.*.*" },
];

let node: Connmix;
let client: TestSocket;
let id: string;

beforeAll(async () => {
  const config = freePorts(
    { entry: "entry.lua" },
    {
      apiServer: { port: 0, bind: "127.0.0.1", trustedProxies: ["127.0.0.1"] },
    },
  );
  node = await Connmix.start("dev", { ...config, access: { users: USERS } }, { files: { "entry.lua": SCRIPT } });
  client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  id = await client.text();
});
afterAll(async () => {
  await node.stop();
});

function as(name: string): Record<string, string> {
  const { username, password } = USERS.find((user) => user.username === name)!;
  return { authorization: `Basic ${btoa(`${username}:${password}`)}` };
}

const backend = (name = "app", headers: Record<string, string> = {}) =>
  TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`, { ...as(name), ...headers });

async function post(path: string, body: unknown, headers = as("app")): Promise<{ status: number; json: unknown }> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`http://127.0.0.1:${node.apiPort}${path}`, { method: "POST", headers, body: text });
  return { status: response.status, json: await response.json() };
}

/** The largest client id there can be; nobody has it. */
const NOBODY = "9007199254740991";

describe("each error code, in both dialects", () => {
  const cases: [code: number, long: object | string, short: object | string][] = [
    [100, "nonsense", "nonsense"],
    [100, { method: "mesh.explode", params: [] }, { m: "mesh.explode", p: {} }],
    [101, { method: "queue.consume", params: [] }, { m: "queue.pop", p: {} }],
    [101, { method: "queue.consume", params: [1] }, { m: "queue.pop", p: { t: [""] } }],
    [101, { method: "conn.call", params: [{ client_id: "x" }] }, { m: "conn.call", p: { c: [] } }],
    [101, { method: "mesh.send", params: [{ client_id: NOBODY }] }, { m: "mesh.send", p: { c: NOBODY } }],
    [101, { method: "mesh.publish", params: [{ data: "x" }] }, { m: "mesh.publish", p: { d: "x" } }],
    [101, { method: "mesh.send", params: "x" }, { m: "mesh.send", p: 12 }],
    [
      101,
      { method: "mesh.send", params: [{ client_id: NOBODY, data: "%%", type: "binary" }] },
      { m: "mesh.send", p: { c: NOBODY, d: "%%", t: "binary" } },
    ],
    [
      301,
      { method: "conn.call", params: [{ client_id: NOBODY, func: "subscribe", args: ["a"] }] },
      { m: "conn.call", p: { c: NOBODY, f: "subscribe", a: ["a"] } },
    ],
    [
      401,
      { method: "mesh.send", params: [{ client_id: NOBODY, data: "x" }] },
      { m: "mesh.send", p: { c: NOBODY, d: "x" } },
    ],
  ];
  test.each(cases)("%i", async (code, long, short) => {
    const api = await backend();
    const send = (request: object | string, extra: object) =>
      api.send(typeof request === "string" ? request : JSON.stringify({ ...request, ...extra }));
    send(long, { id: 12345 });
    const longReply = await api.json();
    if (typeof long !== "string") {
      expect(longReply).toEqual({ error: { code, message: expect.any(String) }, id: 12345 });
      send(short, { i: "twelve" });
      expect(await api.json()).toEqual({ E: { c: code, m: expect.any(String) }, i: "twelve" });
    } else expect(longReply).toEqual({ error: { code, message: expect.any(String) }, id: null });
    api.close();
  });

  test("103: the role is missing", async () => {
    const api = await backend("viewer");
    api.sendJson({ method: "mesh.publish", params: [{ channel: "c", data: "d" }], id: 1 });
    expect(await api.json()).toEqual({ error: { code: 103, message: expect.stringContaining("write") }, id: 1 });
    api.sendJson({ m: "queue.pop", p: ["a"], i: 2 });
    expect(await api.json()).toEqual({ E: { c: 103, m: expect.stringContaining("write") }, i: 2 });
    api.close();
  });

  test("201: a topic that cannot be", async () => {
    const api = await backend();
    api.sendJson({ method: "queue.consume", params: ["x".repeat(5000)], id: 1 });
    expect((await api.json()).error.code).toBe(201);
    api.sendJson({ m: "queue.pop", p: { t: ["x".repeat(5000)] }, i: 2 });
    expect((await api.json()).E.c).toBe(201);
    api.close();
  });

  test("202: consumed already", async () => {
    const api = await backend();
    for (const code of [undefined, 202]) {
      api.sendJson({ method: "queue.consume", params: ["twice"], id: 1 });
      expect((await api.json()).error?.code).toBe(code);
    }
    api.sendJson({ m: "queue.pop", p: { t: ["twice"] }, i: 2 });
    expect((await api.json()).E.c).toBe(202);
    api.close();
  });

  test("201 and 203 where there are no events: by HTTP", async () => {
    const { json } = await post("/v1/batch", [
      { method: "queue.consume", params: ["foo"], id: 1 },
      { m: "queue.unpop", p: {}, i: 2 },
    ]);
    expect(json).toEqual([
      { error: { code: 201, message: expect.stringContaining("WebSocket") }, id: 1 },
      { E: { c: 203, m: expect.any(String) }, i: 2 },
    ]);
  });

  test("301 for a function that does not exist, and for arguments it does not take", async () => {
    const api = await backend();
    const calls: [string, unknown[]][] = [
      ["explode", []],
      ["subscribe", []],
      ["subscribe", [1]],
      ["set_context", ["x"]],
      ["set_context_value", ["key"]],
      ["close", [1005]],
    ];
    for (const [func, args] of calls) {
      api.sendJson({ method: "conn.call", params: [{ client_id: id, func, args }], id: 1 });
      expect((await api.json()).error).toEqual({ code: 301, message: expect.any(String) });
    }
    api.close();
  });
});

test("ids of every kind come back as they are, as client ids do", async () => {
  const api = await backend();
  const ids = ["12345", "-1", "0.5", "123456789012345678901234567890", "1e400", '"text"', '""', "null", '"é\\n"'];
  for (const text of ids) {
    api.send(`{"method":"server.ping","params":[],"id":${text}}`);
    expect(await api.text()).toBe(`{"error":null,"result":{"status":"server.pong"},"id":${text}}`);
  }
  for (const client_id of [id, Number(id)]) {
    api.sendJson({ method: "mesh.send", params: [{ client_id, data: `to ${typeof client_id}` }], id: 1 });
    expect((await api.json()).result).toEqual({ success: true, fail: 0, total: 1 });
    expect(await client.text()).toBe(`to ${typeof client_id}`);
  }
  for (const wrong of [
    "0x10",
    "1.5",
    "-1",
    " 1",
    "1e3",
    `${id}x`,
    "99999999999999999999",
    1.5,
    -1,
    true,
    null,
    {},
    [],
  ]) {
    api.sendJson({ method: "mesh.send", params: [{ client_id: wrong, data: "x" }], id: 1 });
    expect([101, 401]).toContain((await api.json()).error?.code);
  }
  api.close();
});

test("conn.call sets what a waiting script waits for", async () => {
  client.send("wait");
  const call = (func: string, args: unknown[]) => post("/v1/conn/call", { client_id: id, func, args });
  expect((await call("set_context", [{ name: "Ann", roles: ["a"] }])).json).toEqual({
    error: null,
    result: { success: true },
  });
  expect((await call("set_context_value", ["user_id", 10000])).json).toEqual({
    error: null,
    result: { success: true },
  });
  expect(await client.json()).toEqual([10000, { name: "Ann", roles: ["a"], user_id: 10000 }]);
  expect((await call("context", [])).json).toEqual({
    error: null,
    result: { success: true, value: { name: "Ann", roles: ["a"], user_id: 10000 } },
  });
});

test("data of every kind arrives as it was meant", async () => {
  const sends: [entry: object, got: string | Buffer][] = [
    [{ data: "text" }, "text"],
    [{ data: "" }, ""],
    [{ data: "日本 😀" }, "日本 😀"],
    [{ data: { a: [1, null] } }, '{"a":[1,null]}'],
    [{ data: 12 }, "12"],
    [{ data: null }, "null"],
    [{ data: "AAH/", type: "binary" }, Buffer.from([0, 1, 255])],
    [{ data: "AAH/", type: "text" }, "AAH/"],
  ];
  for (const [entry, got] of sends) {
    expect((await post("/v1/mesh/send", { client_id: id, ...entry })).json).toMatchObject({ error: null });
    expect(await client.next()).toEqual(got);
  }
  expect((await post("/v1/mesh/send", { c: id, d: "short" })).json).toEqual({ E: null, r: { s: true } });
  expect(await client.text()).toBe("short");
});

describe("access", () => {
  const status = async (path: string, headers: Record<string, string>) =>
    (await fetch(`http://127.0.0.1:${node.apiPort}${path}`, { headers })).status;

  test("Basic on every route and on the upgrade", async () => {
    for (const path of ["/version", "/v1/nodes", "/metrics", "/console", "/ws/v1"]) {
      expect(await status(path, {})).toBe(401);
      expect(await status(path, { authorization: `Basic ${btoa("app:wrong")}` })).toBe(401);
      expect(await status(path, { authorization: "Basic !!!" })).toBe(401);
      expect(await status(path, { authorization: "Bearer x" })).toBe(401);
      expect([200, 426]).toContain(await status(path, as("viewer")));
    }
    await expect(TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`)).rejects.toThrow();
    expect((await post("/v1/mesh/send", { c: id, d: "x" }, as("viewer"))).status).toBe(403);
  });

  test("hosts, also behind a proxy that is trusted", async () => {
    expect(await status("/version", as("elsewhere"))).toBe(403);
    expect(await status("/version", { ...as("elsewhere"), "x-forwarded-for": "10.0.7.9" })).toBe(200);
    expect(await status("/version", { ...as("viewer"), "x-forwarded-for": "10.0.7.9" })).toBe(403);
    await expect(backend("elsewhere")).rejects.toThrow();
    const api = await backend("elsewhere", { "x-forwarded-for": "10.0.7.9" });
    api.send("ping");
    expect(await api.text()).toBe("pong");
    api.close();
  });
});

test("with no users, others than this machine are told why and what to do", async () => {
  const config = freePorts({}, { apiServer: { port: 0, bind: "127.0.0.1", trustedProxies: ["127.0.0.1"] } });
  const open = await Connmix.start("single", config);
  try {
    await open.line(/the api server lets in only clients on this machine: no users are configured \(access\.users\)/);
    const from = (address: string) =>
      fetch(`http://127.0.0.1:${open.apiPort}/v1/nodes`, { headers: { "x-forwarded-for": address } });
    expect((await from("127.0.0.1")).status).toBe(200);
    const refused = await from("192.0.2.7");
    expect(refused.status).toBe(403);
    expect(await refused.text()).toMatch(/192\.0\.2\.7.*access\.users/);
  } finally {
    await open.stop();
  }
});
