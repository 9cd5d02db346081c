import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ApiEngine } from "../support/api-engine.ts";

let engine: ApiEngine;
let notReady: string | undefined;

beforeAll(async () => {
  engine = await ApiEngine.start({ limits: { readBufferSize: 2000 }, ready: () => notReady });
});
afterAll(() => engine.stop());

describe("/v1/mesh/send", () => {
  test("in both dialects", async () => {
    const { socket, id } = await engine.client();
    expect(await engine.post("/v1/mesh/send", `{"c":"${id}","d":"short"}`)).toEqual({
      status: 200,
      text: '{"E":null,"r":{"s":true}}',
    });
    expect((await engine.post("/v1/mesh/send", `{"client_id":${id},"data":"long"}`)).text).toBe(
      '{"error":null,"result":{"fail":0,"success":true,"total":1}}',
    );
    expect((await engine.post("/v1/mesh/send", `{"c":${id},"d":"AP+A","t":"binary"}`)).text).toBe(
      '{"E":null,"r":{"s":true}}',
    );
    expect((await engine.post("/v1/mesh/send", `[{"c":${id},"d":"a"},{"c":1,"d":"b"}]`)).text).toBe(
      '{"E":null,"r":{"s":true,"f":1,"t":2}}',
    );
    for (const message of ["short", "long", Buffer.from([0, 255, 128]), "a"])
      expect(await socket.next()).toEqual(message);
  });

  test("an API error is 200 with the error set", async () => {
    const gone = await engine.post("/v1/mesh/send", '{"c":"12","d":"x"}');
    expect(gone.status).toBe(200);
    expect(JSON.parse(gone.text)).toEqual({ E: { c: 401, m: expect.stringContaining("12") } });
    const wrong = await engine.post("/v1/mesh/send", '{"client_id":"12"}');
    expect(wrong).toEqual({ status: 200, text: '{"error":{"code":101,"message":"params: data (d) is missing"}}' });
    expect(JSON.parse((await engine.post("/v1/mesh/send", "[]")).text).E.c).toBe(101);
    expect(JSON.parse((await engine.post("/v1/mesh/send", "5")).text).E.c).toBe(101);
  });
});

test("/v1/mesh/publish and /v1/conn/call in both dialects", async () => {
  const { socket, id } = await engine.client();
  expect((await engine.post("/v1/conn/call", `{"c":${id},"f":"subscribe","a":["h"]}`)).text).toBe(
    '{"E":null,"r":{"s":true}}',
  );
  expect((await engine.post("/v1/mesh/publish", '{"c":"h","d":"1"}')).text).toBe('{"E":null,"r":{"s":1,"f":0}}');
  expect((await engine.post("/v1/mesh/publish", '{"channel":"h","data":"2"}')).text).toBe(
    '{"error":null,"result":{"fail":0,"success":true,"total":1}}',
  );
  expect((await engine.post("/v1/mesh/publish", '[{"c":"h","d":"3"},{"c":"h","d":"4"}]')).text).toBe(
    '{"E":null,"r":{"s":2,"f":0,"t":2}}',
  );
  expect((await engine.post("/v1/conn/call", `{"client_id":${id},"func":"channels"}`)).text).toBe(
    '{"error":null,"result":{"success":true,"value":["h"]}}',
  );
  expect(JSON.parse((await engine.post("/v1/conn/call", `{"c":${id},"f":"nope"}`)).text).E.c).toBe(301);
  expect(JSON.parse((await engine.post("/v1/mesh/publish", '{"channel":"","data":"x"}')).text).error.code).toBe(101);
  for (const text of ["1", "2", "3", "4"]) expect(await socket.next()).toBe(text);
});

test("/v1/batch carries out requests of any kind in order", async () => {
  const { socket, id } = await engine.client();
  const { status, text } = await engine.post(
    "/v1/batch",
    `[{"m":"conn.call","p":{"c":${id},"f":"subscribe","a":["b"]},"i":1},
      {"method":"mesh.publish","params":[{"channel":"b","data":"x"}],"id":12345678901234567890},
      {"m":"queue.pop","p":["foo"],"i":3},{"m":"queue.unpop","i":4},7,{"method":"nope","id":"n"}]`,
  );
  expect(status).toBe(200);
  expect(await socket.next()).toBe("x");
  expect(text).toStartWith(
    '[{"E":null,"r":{"s":true},"i":1},{"error":null,"result":{"fail":0,"success":true,"total":1},"id":12345678901234567890},',
  );
  const replies = JSON.parse(text);
  expect([replies[2].E.c, replies[3].E.c, replies[4].error.code, replies[5].error.code]).toEqual([201, 203, 100, 100]);
  expect(JSON.parse((await engine.post("/v1/batch", "{}")).text).E.c).toBe(100);
  expect((await engine.post("/v1/batch", "[]")).text).toBe("[]");
});

describe("the node's own routes", () => {
  test("/version and /v1/nodes", async () => {
    expect(await (await fetch(engine.url("/version"))).text()).toBe('{"version":"1.2.3","apis":["v1"]}');
    const response = await fetch(engine.url("/v1/nodes?x=1"));
    expect(response.headers.get("content-type")).toStartWith("application/json");
    expect(await response.json()).toEqual({
      nodes: [
        {
          id: "engine0000",
          number: 7,
          api_server: "127.0.0.1:2",
          mesh_point: "127.0.0.1:1",
          version: "1.2.3",
          started_at: 1_700_000_000,
          servers: [{ protocol: "websocket", port: 3 }],
        },
      ],
    });
  });

  test("/metrics is Prometheus text, HEAD works too", async () => {
    const response = await fetch(engine.url("/metrics"));
    expect(response.headers.get("content-type")).toContain("version=0.0.4");
    expect(await response.text()).toBe("connmix_test 1\n");
    expect((await fetch(engine.url("/metrics"), { method: "HEAD" })).status).toBe(200);
  });

  test("/healthz and /readyz", async () => {
    expect((await fetch(engine.url("/healthz"))).status).toBe(200);
    expect((await fetch(engine.url("/readyz"))).status).toBe(200);
    notReady = "the registry is away";
    const response = await fetch(engine.url("/readyz"));
    notReady = undefined;
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ error: { code: 503, message: "the registry is away" } });
  });
});

describe("what is wrong is said", () => {
  async function error(
    path: string,
    init?: RequestInit,
  ): Promise<{ status: number; message: string; headers: Headers }> {
    const response = await fetch(engine.url(path), init);
    const body = (await response.json()) as { error: { code: number; message: string } };
    expect(body.error.code).toBe(response.status);
    return { status: response.status, message: body.error.message, headers: response.headers };
  }

  test("400 for a body that is not JSON", async () => {
    const { status, text } = await engine.post("/v1/mesh/send", "c=1&d=x");
    expect(status).toBe(400);
    expect(JSON.parse(text).E).toEqual({ c: 100, m: expect.stringContaining('found "c=1&d=x"') });
    expect((await engine.post("/v1/mesh/send", "")).status).toBe(400);
    expect((await error("/v1/mesh/send", { method: "POST", body: new Uint8Array([0x22, 0xff, 0x22]) })).status).toBe(
      400,
    );
  });

  test("404 with the list of what there is", async () => {
    const { status, message } = await error("/v2/mesh/send");
    expect(status).toBe(404);
    for (const route of ["/v2/mesh/send", "WebSocket /ws/v1", "POST /v1/mesh/send", "GET /v1/nodes"]) {
      expect(message).toContain(route);
    }
  });

  test("405 with Allow", async () => {
    const get = await error("/v1/mesh/send");
    expect([get.status, get.headers.get("allow")]).toEqual([405, "POST"]);
    const post = await error("/v1/nodes", { method: "POST" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET"]);
  });

  test("413 for a body beyond the limit, announced or not, and the server goes on", async () => {
    const announced = await error("/v1/mesh/send", { method: "POST", body: "x".repeat(3000) });
    expect(announced.status).toBe(413);
    expect(announced.message).toContain("2000 bytes");
    const chunks = new ReadableStream({
      start(controller) {
        for (let index = 0; index < 30; index++) controller.enqueue(new Uint8Array(100));
        controller.close();
      },
    });
    expect((await error("/v1/mesh/send", { method: "POST", body: chunks })).status).toBe(413);
    expect((await fetch(engine.url("/version"))).status).toBe(200);
  });

  test("426 for the WebSocket path without an upgrade", async () => {
    const { status, message, headers } = await error("/ws/v1");
    expect([status, headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect(message).toContain("ws://");
  });

  test("404 for an upgrade at another path", async () => {
    const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
    const { status, message } = await error("/ws", { headers: upgrade });
    expect(status).toBe(404);
    expect(message).toContain("/ws/v1");
  });

  test("400 for an upgrade without its key", async () => {
    expect((await error("/ws/v1", { headers: { connection: "Upgrade", upgrade: "websocket" } })).status).toBe(400);
  });
});
