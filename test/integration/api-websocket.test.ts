import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ApiEngine, failure } from "../support/api-engine.ts";
import type { TestSocket } from "../support/websocket.ts";

let engine: ApiEngine;
let backend: TestSocket;

beforeAll(async () => {
  engine = await ApiEngine.start();
  backend = await engine.backend();
});
afterAll(() => engine.stop());

describe("liveness", () => {
  test("server.ping", async () => {
    expect(await backend.ask('{"method":"server.ping","params":[],"id":12345}')).toBe(
      '{"error":null,"result":{"status":"server.pong"},"id":12345}',
    );
    expect(await backend.ask('{"m":"server.ping","p":[],"i":"a"}')).toBe('{"E":null,"r":{"s":"server.pong"},"i":"a"}');
    expect(await backend.ask('{"m":"server.ping","id":7}')).toBe('{"E":null,"r":{"s":"server.pong"},"i":7}');
    expect(await backend.ask('{"method":"server.ping"}')).toBe(
      '{"error":null,"result":{"status":"server.pong"},"id":null}',
    );
  });

  test("the bare text ping", async () => {
    expect(await backend.ask("ping")).toBe("pong");
  });

  test("requests in binary frames", async () => {
    expect(await backend.ask(Buffer.from('{"method":"server.ping","id":"é"}'))).toBe(
      '{"error":null,"result":{"status":"server.pong"},"id":"é"}',
    );
    const reply = await backend.ask(new Uint8Array([0x7b, 0xff, 0x7d]));
    expect(JSON.parse(reply)).toMatchObject({ error: { code: 100 }, id: null });
  });

  test("ids come back digit by digit", async () => {
    for (const id of ["12345678901234567890", "1e400", "1.0", "-0.10", '"中\\n"', "0"]) {
      expect(await backend.ask(`{"method":"server.ping","id":${id}}`)).toBe(
        `{"error":null,"result":{"status":"server.pong"},"id":${id}}`,
      );
    }
  });
});

describe("mesh.send", () => {
  test("text in both dialects, with the id as string and as integer", async () => {
    const { socket, id } = await engine.client();
    const long = '{"error":null,"result":{"fail":0,"success":true,"total":1},"id":1}';
    const short = '{"E":null,"r":{"s":true,"f":0,"t":1},"i":1}';
    expect(await backend.ask(`{"method":"mesh.send","params":[{"client_id":"${id}","data":"a"}],"id":1}`)).toBe(long);
    expect(await backend.ask(`{"method":"mesh.send","params":[{"client_id":${id},"data":"b"}],"id":1}`)).toBe(long);
    expect(await backend.ask(`{"method":"mesh.send","params":{"client_id":"${id}","data":"c"},"id":1}`)).toBe(long);
    expect(await backend.ask(`{"m":"mesh.send","p":{"c":"${id}","d":"d"},"i":1}`)).toBe(short);
    expect(await backend.ask(`{"m":"mesh.send","p":[{"c":${id},"d":"e","t":"text"}],"i":1}`)).toBe(short);
    for (const text of ["a", "b", "c", "d", "e"]) expect(await socket.next()).toBe(text);
  });

  test("binary and JSON data", async () => {
    const { socket, id } = await engine.client();
    await backend.ask(`{"method":"mesh.send","params":[{"client_id":"${id}","data":"AP+A","type":"binary"}]}`);
    expect(await socket.next()).toEqual(Buffer.from([0, 255, 128]));
    await backend.ask(`{"m":"mesh.send","p":{"c":"${id}","d":{"order":12345678901234567890,"n":null}}}`);
    expect(await socket.next()).toBe('{"order":12345678901234567890,"n":null}');
  });

  test("a batch goes out in order, and what failed is counted", async () => {
    const { socket, id } = await engine.client();
    const entries = [`{"c":${id},"d":"1"}`, '{"c":1,"d":"lost"}', `{"c":${id},"d":"2"}`];
    expect(await backend.ask(`{"m":"mesh.send","p":[${entries}],"i":1}`)).toBe(
      '{"E":null,"r":{"s":true,"f":1,"t":3},"i":1}',
    );
    expect(await backend.ask(`{"method":"mesh.send","params":[${entries}],"id":1}`)).toBe(
      '{"error":null,"result":{"fail":1,"success":true,"total":3},"id":1}',
    );
    for (const text of ["1", "2", "1", "2"]) expect(await socket.next()).toBe(text);
  });

  test("401 when nothing could be sent", async () => {
    const { socket, id } = await engine.client();
    socket.close();
    await socket.closed;
    const one = await failure(backend, `{"method":"mesh.send","params":[{"client_id":"${id}","data":"x"}],"id":12345}`);
    expect(one.code).toBe(401);
    expect(one.message).toContain(String(id));
    const all = await failure(backend, '{"method":"mesh.send","params":[{"c":1,"d":"x"},{"c":2,"d":"x"}],"id":1}');
    expect(all.code).toBe(401);
    expect(all.message).toContain("none of 2 could be sent");
  });

  test("101 for parameters, and nothing of the batch goes out", async () => {
    const { socket, id } = await engine.client();
    const error = await failure(
      backend,
      `{"method":"mesh.send","params":[{"client_id":${id},"data":"x"},{"data":"x"}],"id":1}`,
    );
    expect(error.code).toBe(101);
    expect(error.message).toStartWith("params[1]: client_id (c) is");
    await backend.ask(`{"m":"mesh.send","p":{"c":${id},"d":"only this"}}`);
    expect(await socket.next()).toBe("only this");
  });

  test("short errors are short", async () => {
    const reply = await backend.ask('{"m":"mesh.send","p":{"c":1},"i":"q"}');
    expect(reply).toBe('{"E":{"c":101,"m":"params: data (d) is missing"},"i":"q"}');
  });

  test("pipelined requests keep their order", async () => {
    const { socket, id } = await engine.client();
    for (let index = 0; index < 500; index++)
      backend.send(`{"m":"mesh.send","p":{"c":${id},"d":"${index}"},"i":${index}}`);
    for (let index = 0; index < 500; index++) {
      expect(await socket.next()).toBe(String(index));
      expect((await backend.json()).i).toBe(index);
    }
  });
});

describe("conn.call and mesh.publish", () => {
  test("subscribe, publish, unsubscribe in both dialects", async () => {
    const one = await engine.client();
    const two = await engine.client();
    expect(
      await backend.ask(
        `{"method":"conn.call","params":[{"client_id":"${one.id}","func":"subscribe","args":["r1","r2"]}],"id":1}`,
      ),
    ).toBe('{"error":null,"result":{"success":true},"id":1}');
    expect(await backend.ask(`{"m":"conn.call","p":{"c":${two.id},"f":"subscribe","a":["r1"]},"i":1}`)).toBe(
      '{"E":null,"r":{"s":true},"i":1}',
    );
    expect(await backend.ask('{"method":"mesh.publish","params":[{"channel":"r1","data":"hello"}],"id":1}')).toBe(
      '{"error":null,"result":{"fail":0,"success":true,"total":2},"id":1}',
    );
    expect(await backend.ask('{"m":"mesh.publish","p":{"c":"r2","d":"second"},"i":1}')).toBe(
      '{"E":null,"r":{"s":1,"f":0,"t":1},"i":1}',
    );
    expect(await backend.ask('{"m":"mesh.publish","p":[{"c":"r1","d":"3"},{"c":"r2","d":"3"}],"i":1}')).toBe(
      '{"E":null,"r":{"s":3,"f":0,"t":3},"i":1}',
    );
    expect(await backend.ask('{"method":"mesh.publish","params":[{"channel":"nobody","data":"x"}],"id":1}')).toBe(
      '{"error":null,"result":{"fail":0,"success":true,"total":0},"id":1}',
    );
    for (const text of ["hello", "second", "3", "3"]) expect(await one.socket.next()).toBe(text);
    for (const text of ["hello", "3"]) expect(await two.socket.next()).toBe(text);
    expect(await backend.ask(`{"m":"conn.call","p":{"c":${one.id},"f":"channels"},"i":1}`)).toBe(
      '{"E":null,"r":{"s":true,"v":["r1","r2"]},"i":1}',
    );
    await backend.ask(`{"m":"conn.call","p":{"c":${one.id},"f":"unsubscribe","a":["r1"]},"i":1}`);
    expect(await backend.ask('{"m":"mesh.publish","p":{"c":"r1","d":"x"},"i":1}')).toBe(
      '{"E":null,"r":{"s":1,"f":0,"t":1},"i":1}',
    );
  });

  test("binary publish", async () => {
    const { socket, id } = await engine.client();
    await backend.ask(`{"m":"conn.call","p":{"c":${id},"f":"subscribe","a":["bin"]}}`);
    await backend.ask('{"m":"mesh.publish","p":{"c":"bin","d":"AP+A","t":"binary"}}');
    expect(await socket.next()).toEqual(Buffer.from([0, 255, 128]));
  });

  test("context values", async () => {
    const { id } = await engine.client();
    expect(
      await backend.ask(
        `{"method":"conn.call","params":[{"client_id":"${id}","func":"set_context_value","args":["user_id",10000]}],"id":1}`,
      ),
    ).toBe('{"error":null,"result":{"success":true},"id":1}');
    await backend.ask(`{"m":"conn.call","p":{"c":${id},"f":"set_context","a":[{"name":"é"}]}}`);
    expect(await backend.ask(`{"method":"conn.call","params":[{"client_id":"${id}","func":"context"}],"id":1}`)).toBe(
      '{"error":null,"result":{"success":true,"value":{"user_id":10000,"name":"é"}},"id":1}',
    );
  });

  test("a batch is carried out in order and answers for each", async () => {
    const { id } = await engine.client();
    const entries = `{"c":${id},"f":"set_context_value","a":["k",1]},{"c":${id},"f":"context"}`;
    expect(await backend.ask(`{"m":"conn.call","p":[${entries}],"i":1}`)).toBe(
      '{"E":null,"r":{"s":true,"v":[null,{"k":1}]},"i":1}',
    );
    const error = await failure(backend, `{"method":"conn.call","params":[${entries},{"c":1,"f":"context"}],"id":1}`);
    expect(error.code).toBe(301);
    expect(error.message).toStartWith("1 of 3 failed: params[2]: ");
  });

  test("close", async () => {
    const { socket, id } = await engine.client();
    await backend.ask(`{"m":"conn.call","p":{"c":${id},"f":"close","a":[4001,"bye"]}}`);
    expect(await socket.closed).toEqual({ code: 4001, reason: "bye" });
  });

  test("301: no such client, no such function, bad arguments", async () => {
    const { id } = await engine.client();
    const call = (client: number | string, func: string, args = "[]") =>
      failure(
        backend,
        `{"method":"conn.call","params":[{"client_id":"${client}","func":"${func}","args":${args}}],"id":1}`,
      );
    expect(await call(12, "context")).toMatchObject({ code: 301, message: expect.stringContaining("12") });
    expect(await call(id, "explode")).toMatchObject({ code: 301, message: expect.stringContaining('"explode"') });
    expect(await call(id, "constructor")).toMatchObject({ code: 301 });
    expect(await call(id, "subscribe", "[5]")).toMatchObject({
      code: 301,
      message: expect.stringContaining("found 5"),
    });
    expect(await call(id, "subscribe")).toMatchObject({ code: 301 });
  });
});

describe("bad input", () => {
  test.each([
    ["not JSON", "hello"],
    ["cut off", '{"method":"server.ping"'],
    ["a number", "42"],
    ["an object without a method", '{"id":1}'],
    ["an unknown method", '{"method":"mesh.sned","params":[],"id":1}'],
    ["a method of Object.prototype", '{"method":"constructor","id":1}'],
    ["a method that is no string", '{"method":["mesh.send"],"id":1}'],
    ["an empty text", ""],
    ["an empty array", "[]"],
    ["JSON nested without end", "[".repeat(500_000)],
  ])("%s is error 100 and the connection goes on", async (_name, text) => {
    const reply = JSON.parse(await backend.ask(text));
    expect(reply.error.code).toBe(100);
    expect(reply.error.message).toMatch(/expected|no method/);
    expect(await backend.ask("ping")).toBe("pong");
  });

  test("deeply nested data passes or is an error, and the connection goes on", async () => {
    const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
    const reply = JSON.parse(
      await backend.ask(`{"method":"mesh.send","params":[{"client_id":1,"data":${deep}}],"id":1}`),
    );
    expect([100, 101, 401]).toContain(reply.error.code);
    expect(await backend.ask("ping")).toBe("pong");
  });

  test("an array of requests is answered one by one, in order", async () => {
    backend.send('[{"method":"server.ping","id":1},5,{"m":"server.ping","i":2}]');
    expect(await backend.text()).toBe('{"error":null,"result":{"status":"server.pong"},"id":1}');
    expect((await backend.json()).error.code).toBe(100);
    expect(await backend.text()).toBe('{"E":null,"r":{"s":"server.pong"},"i":2}');
  });
});
