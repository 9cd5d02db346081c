import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Client, type ClientOptions, ConnmixError } from "../../src/client/index.ts";
import { until } from "../support/eventually.ts";
import { ScriptedEngine } from "../support/scripted-engine.ts";

let engine: ScriptedEngine;
let client: Client;

beforeEach(() => {
  engine = new ScriptedEngine();
});

afterEach(async () => {
  await client?.close();
  await engine.stop();
});

function open(options: Partial<ClientOptions> = {}): Client {
  client = new Client({ url: engine.url, requestTimeout: 2_000, ...options });
  return client;
}

async function failureOf(promise: Promise<unknown>): Promise<ConnmixError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ConnmixError);
  return error as ConnmixError;
}

describe("requests", () => {
  test("are the API's, in the long dialect", async () => {
    engine.answer = ({ method }) => ({ result: method === "mesh.publish" ? { fail: 1, success: true, total: 9 } : {} });
    open();
    await client.send("12", "hi");
    await client.send(13, new Uint8Array([0, 255, 16]));
    await client.send("12", { a: 1 });
    expect(await client.publish("room", "x")).toEqual({ total: 9, fail: 1 });
    await client.subscribe("12", "a", "b");
    await client.unsubscribe("12", "a");
    await client.setContext("12", { user: 1 });
    await client.disconnect("12", 4000, "bye");
    await client.disconnect("12");
    expect(engine.requests.map(({ method, params }) => [method, params])).toEqual([
      ["mesh.send", [{ client_id: "12", data: "hi" }]],
      ["mesh.send", [{ client_id: 13, data: "AP8Q", type: "binary" }]],
      ["mesh.send", [{ client_id: "12", data: { a: 1 } }]],
      ["mesh.publish", [{ channel: "room", data: "x" }]],
      ["conn.call", [{ client_id: "12", func: "subscribe", args: ["a", "b"] }]],
      ["conn.call", [{ client_id: "12", func: "unsubscribe", args: ["a"] }]],
      ["conn.call", [{ client_id: "12", func: "set_context", args: [{ user: 1 }] }]],
      ["conn.call", [{ client_id: "12", func: "close", args: [4000, "bye"] }]],
      ["conn.call", [{ client_id: "12", func: "close", args: [] }]],
    ]);
  });

  test("return the value a call answered", async () => {
    engine.answer = () => ({ result: { success: true, value: { user: 1 } } });
    expect(await open().context("1")).toEqual({ user: 1 });
  });

  test("fail with the engine's code", async () => {
    engine.answer = () => ({ error: { code: 401, message: "no such client" } });
    const error = await failureOf(open().send("1", "x"));
    expect(error.code).toBe(401);
    expect(error.message).toBe("mesh.send: no such client");
  });

  test("of a batch are sent in order and settle one by one", async () => {
    engine.answer = ({ method }) =>
      method === "mesh.send"
        ? { error: { code: 401, message: "gone" } }
        : { result: { success: true, total: 1, fail: 0, value: ["a"] } };
    const results = await open().batch([
      { send: "1", data: "x" },
      { publish: "room", data: "y" },
      { call: "1", func: "channels" },
    ]);
    expect(engine.requests.map(({ method }) => method)).toEqual(["mesh.send", "mesh.publish", "conn.call"]);
    expect(results[0]).toMatchObject({ ok: false, error: { code: 401 } });
    expect(results[1]).toMatchObject({ ok: true, result: { total: 1 } });
    expect(results[2]).toEqual({ ok: true, result: ["a"] });
  });
});

describe("failures", () => {
  test("a request that is not answered times out, and a silent engine is dropped and dialled again", async () => {
    engine.answer = ({ method }) => (method === "mesh.send" ? undefined : { result: {} });
    const troubles: string[] = [];
    open({ requestTimeout: 100, onTrouble: (text) => troubles.push(text) });
    expect((await failureOf(client.send("1", "x"))).code).toBe("timeout");
    expect(troubles.at(-1)).toContain("silent for 100 ms");
    await until(() => client.connected.length === 1);
  });

  test("a request in flight when the connection is lost fails as disconnected", async () => {
    engine.answer = () => undefined;
    open();
    const failure = failureOf(client.send("1", "x"));
    await until(() => engine.requests.length > 0);
    for (const socket of engine.sockets) socket.terminate();
    expect((await failure).code).toBe("disconnected");
  });

  test("without any engine a request is unavailable, and says why", async () => {
    const { url } = engine;
    await engine.stop();
    open({ url, requestTimeout: 200 });
    const error = await failureOf(client.publish("a", "b"));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain(`${url}: `);
  });

  test("a request waits for the first connection", async () => {
    engine.nodes = [];
    open();
    const sent = client.send("1", "x");
    await until(() => engine.authorizations.length > 0);
    engine.nodes = undefined;
    await sent;
    expect(engine.count("mesh.send")).toBe(1);
  });

  test("a request that waits for a connection is rejected by close", async () => {
    engine.nodes = [];
    open();
    const sent = failureOf(client.send("1", "x"));
    await client.close();
    expect((await sent).code).toBe("closed");
  });

  test("an address that is none is a TypeError", () => {
    expect(() => new Client({ url: "127.0.0.1:6789" })).toThrow(TypeError);
    expect(() => new Client({ url: [] })).toThrow(TypeError);
  });

  test("after close everything rejects as closed, and close may be called twice", async () => {
    open();
    await client.ready();
    await Promise.all([client.close(), client.close()]);
    expect((await failureOf(client.send("1", "x"))).code).toBe("closed");
    expect(() => client.consume("foo")).toThrow(ConnmixError);
    await until(() => engine.sockets.size === 0);
  });

  test("close waits for answers under way", async () => {
    engine.answer = () => undefined;
    open();
    const sent = client.send("1", "x");
    await until(() => engine.requests.length > 0);
    const closing = client.close();
    const [socket] = engine.sockets;
    socket?.send(JSON.stringify({ error: null, result: { success: true }, id: engine.requests[0]?.id }));
    await sent;
    await closing;
    expect(engine.sockets.size).toBe(0);
  });
});

describe("engines", () => {
  test("all that are listed are connected, and requests are spread over them", async () => {
    const other = new ScriptedEngine();
    engine.nodes = [engine.address, other.address];
    open();
    await until(() => client.connected.length === 2);
    await Promise.all(Array.from({ length: 64 }, () => client.publish("a", "b").catch(() => {})));
    expect(engine.count("mesh.publish")).toBeGreaterThan(0);
    expect(other.count("mesh.publish")).toBeGreaterThan(0);
    expect(client.nodes.map(({ api_server }) => api_server)).toEqual([engine.address, other.address]);
    await client.close();
    await other.stop();
  });

  test("one that dies is replaced by those that are listed now", async () => {
    const second = new ScriptedEngine();
    const third = new ScriptedEngine();
    engine.nodes = [second.address];
    open();
    await client.ready();
    engine.nodes = [third.address];
    await second.stop();
    await until(() => client.connected.join().includes(third.address));
    expect(client.connected).toHaveLength(1);
    await client.close();
    await third.stop();
  });

  test("an address listed twice gets two connections, one listed once again loses the surplus", async () => {
    const other = new ScriptedEngine();
    engine.nodes = [engine.address, engine.address, other.address];
    open();
    await until(() => engine.sockets.size === 2 && other.sockets.size === 1);
    engine.nodes = [engine.address, other.address];
    // A loss makes the client look at the list again.
    for (const socket of other.sockets) socket.terminate();
    await until(() => engine.sockets.size === 1);
    await client.close();
    await other.stop();
  });

  test("one that left the list keeps its connection until that ends", async () => {
    const other = new ScriptedEngine();
    engine.nodes = [engine.address, other.address];
    open();
    await until(() => client.connected.length === 2);
    engine.nodes = [other.address];
    for (const socket of other.sockets) socket.terminate();
    await until(() => client.nodes.length === 1 && client.connected.length === 2);
    expect(engine.sockets.size).toBe(1);
    for (const socket of engine.sockets) socket.terminate();
    await until(() => client.connected.length === 1);
    await client.close();
    await other.stop();
  });

  test("resolve rewrites what an engine advertises", async () => {
    engine.nodes = ["10.255.255.1:6789"];
    const seen: string[] = [];
    open({
      resolve: (node) => {
        seen.push(node.api_server);
        return engine.url;
      },
    });
    await client.ready();
    expect(seen).toContain("10.255.255.1:6789");
    expect(client.connected).toEqual([`ws://${engine.address}/ws/v1`]);
  });

  test("without discovery the address given is the engine", async () => {
    engine.nodes = ["10.255.255.1:6789"];
    await open({ discover: false }).send("1", "x");
    expect(engine.count("mesh.send")).toBe(1);
  });

  test("credentials go with every request, from options or from the URL", async () => {
    const basic = `Basic ${Buffer.from("app:pä:ss").toString("base64")}`;
    await open({ username: "app", password: "pä:ss" }).ready();
    await client.close();
    await open({ url: engine.url.replace("//", `//app:${encodeURIComponent("pä:ss")}@`) }).ready();
    expect(engine.authorizations.length).toBeGreaterThanOrEqual(4);
    expect(new Set(engine.authorizations)).toEqual(new Set([basic]));
  });

  test("pings keep an idle connection", async () => {
    await open({ pingInterval: 20 }).ready();
    await until(() => engine.count("server.ping") >= 3);
    expect(client.connected).toHaveLength(1);
  });
});
