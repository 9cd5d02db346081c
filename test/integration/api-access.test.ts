import { afterEach, describe, expect, test } from "bun:test";
import type { User } from "../../src/api/access.ts";
import { ApiEngine } from "../support/api-engine.ts";

const APP: User = { username: "app", password: "s3cret", roles: ["read", "write"], host: "*" };
const VIEWER: User = { username: "viewer", password: "look", roles: ["read"], host: "127.0.0.*" };

let engine: ApiEngine;
afterEach(() => engine.stop());

function as({ username, password }: User): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` };
}

async function status(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<number> {
  const body = method === "POST" ? '{"c":1,"d":"x"}' : undefined;
  return (await fetch(engine.url(path), { method, headers, body })).status;
}

describe("users", () => {
  test("credentials are needed on every route but the probes", async () => {
    engine = await ApiEngine.start({ users: [APP] });
    for (const path of ["/version", "/v1/nodes", "/metrics", "/ws/v1", "/nope"]) expect(await status(path)).toBe(401);
    expect(await status("/v1/mesh/send", {}, "POST")).toBe(401);
    expect(await status("/healthz")).toBe(200);
    expect(await status("/readyz")).toBe(200);
    const response = await fetch(engine.url("/version"));
    expect(response.headers.get("www-authenticate")).toStartWith("Basic realm=");
    expect(await status("/version", as({ ...APP, password: "wrong" }))).toBe(401);
    expect(await status("/version", as(APP))).toBe(200);
    expect(await status("/v1/mesh/send", as(APP), "POST")).toBe(200);
    await expect(engine.backend()).rejects.toThrow();
    const backend = await engine.backend(as(APP));
    backend.send("ping");
    expect(await backend.text()).toBe("pong");
  });

  test("roles: 403 on HTTP, 103 on the WebSocket", async () => {
    engine = await ApiEngine.start({ users: [APP, VIEWER] });
    expect(await status("/v1/nodes", as(VIEWER))).toBe(200);
    expect(await status("/v1/mesh/send", as(VIEWER), "POST")).toBe(403);
    expect(await status("/v1/batch", as(VIEWER), "POST")).toBe(403);
    const backend = await engine.backend(as(VIEWER));
    backend.send('{"method":"server.ping","id":1}');
    expect((await backend.json()).error).toBeNull();
    for (const method of ["mesh.send", "mesh.publish", "conn.call", "queue.consume", "queue.unconsume"]) {
      backend.sendJson({ method, params: [], id: 1 });
      const { error } = await backend.json();
      expect(error.code).toBe(103);
      expect(error.message).toContain("role write");
    }
    backend.send('{"m":"mesh.send","p":{},"i":9}');
    expect(await backend.json()).toEqual({ E: { c: 103, m: expect.any(String) }, i: 9 });
  });

  test("host patterns: 403 that names the address", async () => {
    engine = await ApiEngine.start({ users: [{ ...APP, host: "10.0.*.*" }] });
    const response = await fetch(engine.url("/version"), { headers: as(APP) });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("127.0.0.1");
  });
});

describe("behind a proxy", () => {
  const forwarded = (...hops: string[]) => ({ "x-forwarded-for": hops.join(", ") });

  test("while no users are configured, nobody gets in as a client on this machine", async () => {
    engine = await ApiEngine.start();
    const response = await fetch(engine.url("/version"), { headers: forwarded("127.0.0.1") });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain("apiServer.trustedProxies");
    await engine.stop();

    engine = await ApiEngine.start({ trustedProxies: ["127.0.0.1"] });
    for (const hops of [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"], ["192.0.2.1:5000"], ["127.0.0.1", "garbage"]]) {
      expect(await status("/version", forwarded(...hops))).toBe(403);
      await expect(engine.backend(forwarded(...hops))).rejects.toThrow();
    }
    // A program on this machine, asking directly or by way of the proxy.
    expect(await status("/version")).toBe(200);
    expect(await status("/version", forwarded("127.0.0.1"))).toBe(200);
  });

  test("host patterns are about the client that a trusted proxy names", async () => {
    engine = await ApiEngine.start({ trustedProxies: ["127.0.0.1"], users: [{ ...APP, host: "10.0.*.*" }] });
    expect(await status("/version", as(APP))).toBe(403);
    expect(await status("/version", { ...as(APP), ...forwarded("10.0.1.2") })).toBe(200);
    expect(await status("/version", { ...as(APP), ...forwarded("10.0.1.2", "192.0.2.1") })).toBe(403);
    const backend = await engine.backend({ ...as(APP), ...forwarded("10.0.1.2") });
    engine.access.replace([{ ...APP, host: "10.0.9.*" }]);
    expect((await backend.closed).code).toBe(1008);
  });

  test("what an untrusted client writes is ignored", async () => {
    engine = await ApiEngine.start({ users: [{ ...APP, host: "10.0.*.*" }] });
    expect(await status("/version", { ...as(APP), ...forwarded("10.0.1.2") })).toBe(403);
  });
});

describe("a change takes effect at once", () => {
  test("on open connections: the removed are closed with 1008, the others have their new roles", async () => {
    engine = await ApiEngine.start({ users: [APP, VIEWER] });
    const app = await engine.backend(as(APP));
    const viewer = await engine.backend(as(VIEWER));
    engine.access.replace([{ ...VIEWER, roles: ["read", "write"] }]);
    expect((await app.closed).code).toBe(1008);
    viewer.send('{"m":"queue.pop","p":["x"],"i":1}');
    expect(await viewer.text()).toBe('{"E":null,"r":{"s":true},"i":1}');
    engine.access.replace([VIEWER]);
    viewer.send('{"m":"queue.unpop","i":1}');
    expect((await viewer.json()).E.c).toBe(103);
    expect(await status("/version", as(APP))).toBe(401);
  });

  test("when the first user is configured, those without credentials are out", async () => {
    engine = await ApiEngine.start();
    expect(engine.log.join("\n")).toContain("access.users");
    const backend = await engine.backend();
    expect(await status("/version")).toBe(200);
    engine.access.replace([APP]);
    expect((await backend.closed).code).toBe(1008);
    expect(await status("/version")).toBe(401);
    engine.access.replace([]);
    expect(await status("/version")).toBe(200);
  });
});

describe("web pages", () => {
  test("of other origins are refused", async () => {
    engine = await ApiEngine.start();
    const foreign = { origin: "https://evil.example" };
    expect(await status("/v1/mesh/publish", foreign, "POST")).toBe(403);
    expect(await status("/v1/nodes", foreign)).toBe(403);
    await expect(engine.backend(foreign)).rejects.toThrow();
    expect(await status("/v1/nodes", { host: `rebound.example:${engine.port}` })).toBe(403);
    expect(await status("/v1/nodes", { origin: `http://127.0.0.1:${engine.port}` })).toBe(200);
    expect(await status("/v1/nodes", foreign, "OPTIONS")).toBe(403);
  });

  test("of another port of the same host may use it while no users are configured, and not afterwards", async () => {
    engine = await ApiEngine.start();
    const center = { origin: "http://127.0.0.1:6787" };
    expect(await status("/v1/nodes", center)).toBe(200);
    expect(await status("/v1/nodes", { origin: "http://127.0.0.2:6787" })).toBe(403);
    expect(await status("/v1/nodes", { origin: "null" })).toBe(403);
    engine.access.replace([APP]);
    expect(await status("/v1/nodes", { ...as(APP), ...center })).toBe(403);
    expect(await status("/v1/nodes", { ...as(APP), origin: `http://127.0.0.1:${engine.port}` })).toBe(200);
  });

  test("that are allowed may connect, and read what HTTP answers", async () => {
    engine = await ApiEngine.start({ allowedOrigins: ["https://tool.example"] });
    const tool = { origin: "https://tool.example" };
    const response = await fetch(engine.url("/v1/nodes"), { headers: tool });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://tool.example");
    const preflight = await fetch(engine.url("/v1/mesh/send"), { method: "OPTIONS", headers: tool });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-methods")).toContain("POST");
    const backend = await engine.backend(tool);
    backend.send("ping");
    expect(await backend.text()).toBe("pong");
    expect(await status("/v1/nodes", { origin: "https://other.example" })).toBe(403);
  });
});
