import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { CallResult } from "../../src/hub/calls.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import type { Operations } from "../../src/mesh/operations.ts";
import { ApiEngine } from "../support/api-engine.ts";
import type { TestSocket } from "../support/websocket.ts";

let engine: ApiEngine;
let backend: TestSocket;

beforeAll(async () => {
  engine = await ApiEngine.start();
  backend = await engine.backend();
});
afterAll(() => engine.stop());

async function ask(request: string | Uint8Array, socket: TestSocket = backend): Promise<string> {
  socket.send(request);
  return socket.text();
}

/** A request that fails: its code, its message, and whether the reply has the right shape. */
async function failure(request: string, socket: TestSocket = backend): Promise<{ code: number; message: string }> {
  const reply = await ask(request, socket);
  const { error, id, ...rest } = JSON.parse(reply);
  expect(rest).toEqual({});
  expect(reply).toBe(JSON.stringify({ error: { code: error.code, message: error.message }, id }));
  return error;
}

describe("liveness", () => {
  test("server.ping", async () => {
    expect(await ask('{"method":"server.ping","params":[],"id":12345}')).toBe(
      '{"error":null,"result":{"status":"server.pong"},"id":12345}',
    );
    expect(await ask('{"m":"server.ping","p":[],"i":"a"}')).toBe('{"E":null,"r":{"s":"server.pong"},"i":"a"}');
    expect(await ask('{"m":"server.ping","id":7}')).toBe('{"E":null,"r":{"s":"server.pong"},"i":7}');
    expect(await ask('{"method":"server.ping"}')).toBe('{"error":null,"result":{"status":"server.pong"},"id":null}');
  });

  test("the bare text ping", async () => {
    expect(await ask("ping")).toBe("pong");
  });

  test("requests in binary frames", async () => {
    expect(await ask(Buffer.from('{"method":"server.ping","id":"é"}'))).toBe(
      '{"error":null,"result":{"status":"server.pong"},"id":"é"}',
    );
    const reply = await ask(new Uint8Array([0x7b, 0xff, 0x7d]));
    expect(JSON.parse(reply)).toMatchObject({ error: { code: 100 }, id: null });
  });

  test("ids come back digit by digit", async () => {
    for (const id of ["12345678901234567890", "1e400", "1.0", "-0.10", '"中\\n"', "0"]) {
      expect(await ask(`{"method":"server.ping","id":${id}}`)).toBe(
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
    expect(await ask(`{"method":"mesh.send","params":[{"client_id":"${id}","data":"a"}],"id":1}`)).toBe(long);
    expect(await ask(`{"method":"mesh.send","params":[{"client_id":${id},"data":"b"}],"id":1}`)).toBe(long);
    expect(await ask(`{"method":"mesh.send","params":{"client_id":"${id}","data":"c"},"id":1}`)).toBe(long);
    expect(await ask(`{"m":"mesh.send","p":{"c":"${id}","d":"d"},"i":1}`)).toBe(short);
    expect(await ask(`{"m":"mesh.send","p":[{"c":${id},"d":"e","t":"text"}],"i":1}`)).toBe(short);
    for (const text of ["a", "b", "c", "d", "e"]) expect(await socket.next()).toBe(text);
  });

  test("binary and JSON data", async () => {
    const { socket, id } = await engine.client();
    await ask(`{"method":"mesh.send","params":[{"client_id":"${id}","data":"AP+A","type":"binary"}]}`);
    expect(await socket.next()).toEqual(Buffer.from([0, 255, 128]));
    await ask(`{"m":"mesh.send","p":{"c":"${id}","d":{"order":12345678901234567890,"n":null}}}`);
    expect(await socket.next()).toBe('{"order":12345678901234567890,"n":null}');
  });

  test("a batch goes out in order, and what failed is counted", async () => {
    const { socket, id } = await engine.client();
    const entries = [`{"c":${id},"d":"1"}`, '{"c":1,"d":"lost"}', `{"c":${id},"d":"2"}`];
    expect(await ask(`{"m":"mesh.send","p":[${entries}],"i":1}`)).toBe('{"E":null,"r":{"s":true,"f":1,"t":3},"i":1}');
    expect(await ask(`{"method":"mesh.send","params":[${entries}],"id":1}`)).toBe(
      '{"error":null,"result":{"fail":1,"success":true,"total":3},"id":1}',
    );
    for (const text of ["1", "2", "1", "2"]) expect(await socket.next()).toBe(text);
  });

  test("401 when nothing could be sent", async () => {
    const { socket, id } = await engine.client();
    socket.close();
    await socket.closed;
    const one = await failure(`{"method":"mesh.send","params":[{"client_id":"${id}","data":"x"}],"id":12345}`);
    expect(one.code).toBe(401);
    expect(one.message).toContain(String(id));
    const all = await failure('{"method":"mesh.send","params":[{"c":1,"d":"x"},{"c":2,"d":"x"}],"id":1}');
    expect(all.code).toBe(401);
    expect(all.message).toContain("none of 2 could be sent");
  });

  test("101 for parameters, and nothing of the batch goes out", async () => {
    const { socket, id } = await engine.client();
    const error = await failure(`{"method":"mesh.send","params":[{"client_id":${id},"data":"x"},{"data":"x"}],"id":1}`);
    expect(error.code).toBe(101);
    expect(error.message).toStartWith("params[1]: client_id (c) is");
    await ask(`{"m":"mesh.send","p":{"c":${id},"d":"only this"}}`);
    expect(await socket.next()).toBe("only this");
  });

  test("short errors are short", async () => {
    const reply = await ask('{"m":"mesh.send","p":{"c":1},"i":"q"}');
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
      await ask(
        `{"method":"conn.call","params":[{"client_id":"${one.id}","func":"subscribe","args":["r1","r2"]}],"id":1}`,
      ),
    ).toBe('{"error":null,"result":{"success":true},"id":1}');
    expect(await ask(`{"m":"conn.call","p":{"c":${two.id},"f":"subscribe","a":["r1"]},"i":1}`)).toBe(
      '{"E":null,"r":{"s":true},"i":1}',
    );
    expect(await ask('{"method":"mesh.publish","params":[{"channel":"r1","data":"hello"}],"id":1}')).toBe(
      '{"error":null,"result":{"fail":0,"success":true,"total":2},"id":1}',
    );
    expect(await ask('{"m":"mesh.publish","p":{"c":"r2","d":"second"},"i":1}')).toBe(
      '{"E":null,"r":{"s":1,"f":0,"t":1},"i":1}',
    );
    expect(await ask('{"m":"mesh.publish","p":[{"c":"r1","d":"3"},{"c":"r2","d":"3"}],"i":1}')).toBe(
      '{"E":null,"r":{"s":3,"f":0,"t":3},"i":1}',
    );
    expect(await ask('{"method":"mesh.publish","params":[{"channel":"nobody","data":"x"}],"id":1}')).toBe(
      '{"error":null,"result":{"fail":0,"success":true,"total":0},"id":1}',
    );
    for (const text of ["hello", "second", "3", "3"]) expect(await one.socket.next()).toBe(text);
    for (const text of ["hello", "3"]) expect(await two.socket.next()).toBe(text);
    expect(await ask(`{"m":"conn.call","p":{"c":${one.id},"f":"channels"},"i":1}`)).toBe(
      '{"E":null,"r":{"s":true,"v":["r1","r2"]},"i":1}',
    );
    await ask(`{"m":"conn.call","p":{"c":${one.id},"f":"unsubscribe","a":["r1"]},"i":1}`);
    expect(await ask('{"m":"mesh.publish","p":{"c":"r1","d":"x"},"i":1}')).toBe(
      '{"E":null,"r":{"s":1,"f":0,"t":1},"i":1}',
    );
  });

  test("binary publish", async () => {
    const { socket, id } = await engine.client();
    await ask(`{"m":"conn.call","p":{"c":${id},"f":"subscribe","a":["bin"]}}`);
    await ask('{"m":"mesh.publish","p":{"c":"bin","d":"AP+A","t":"binary"}}');
    expect(await socket.next()).toEqual(Buffer.from([0, 255, 128]));
  });

  test("context values", async () => {
    const { id } = await engine.client();
    expect(
      await ask(
        `{"method":"conn.call","params":[{"client_id":"${id}","func":"set_context_value","args":["user_id",10000]}],"id":1}`,
      ),
    ).toBe('{"error":null,"result":{"success":true},"id":1}');
    await ask(`{"m":"conn.call","p":{"c":${id},"f":"set_context","a":[{"name":"é"}]}}`);
    expect(await ask(`{"method":"conn.call","params":[{"client_id":"${id}","func":"context"}],"id":1}`)).toBe(
      '{"error":null,"result":{"success":true,"value":{"user_id":10000,"name":"é"}},"id":1}',
    );
  });

  test("a batch is carried out in order and answers for each", async () => {
    const { id } = await engine.client();
    const entries = `{"c":${id},"f":"set_context_value","a":["k",1]},{"c":${id},"f":"context"}`;
    expect(await ask(`{"m":"conn.call","p":[${entries}],"i":1}`)).toBe(
      '{"E":null,"r":{"s":true,"v":[null,{"k":1}]},"i":1}',
    );
    const error = await failure(`{"method":"conn.call","params":[${entries},{"c":1,"f":"context"}],"id":1}`);
    expect(error.code).toBe(301);
    expect(error.message).toStartWith("1 of 3 failed: params[2]: ");
  });

  test("close", async () => {
    const { socket, id } = await engine.client();
    await ask(`{"m":"conn.call","p":{"c":${id},"f":"close","a":[4001,"bye"]}}`);
    expect(await socket.closed).toEqual({ code: 4001, reason: "bye" });
  });

  test("301: no such client, no such function, bad arguments", async () => {
    const { id } = await engine.client();
    const call = (client: number | string, func: string, args = "[]") =>
      failure(`{"method":"conn.call","params":[{"client_id":"${client}","func":"${func}","args":${args}}],"id":1}`);
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

describe("queues", () => {
  test("events in the dialect of the consume request, after its reply, also for what was sent before", async () => {
    const { socket, id } = await engine.client();
    socket.send("early");
    const long = await engine.backend();
    expect(await ask('{"method":"queue.consume","params":["foo"],"id":12345}', long)).toBe(
      '{"error":null,"result":{"success":true},"id":12345}',
    );
    expect(await long.text()).toBe(
      `{"event":"queue.consume","result":{"client_id":"${id}","queue":"foo","data":{"msg":"early"}},"id":null}`,
    );
    expect(await ask('{"m":"queue.unpop","p":{},"i":1}', long)).toBe('{"E":null,"r":{"s":true},"i":1}');
    socket.send("later");
    const short = await engine.backend();
    expect(await ask('{"m":"queue.pop","p":{"t":["foo"]},"i":2}', short)).toBe('{"E":null,"r":{"s":true},"i":2}');
    expect(await short.text()).toBe(
      `{"e":"queue.pop","p":{"n":"engine0000","c":"${id}","t":"foo","d":{"msg":"later"}},"id":null}`,
    );
    expect(await ask('{"method":"queue.unconsume","params":[],"id":3}', short)).toBe(
      '{"error":null,"result":{"success":true},"id":3}',
    );
    expect(long.pending + short.pending).toBe(0);
  });

  test("names of either generation work in either dialect, and both shapes of short parameters", async () => {
    const socket = await engine.backend();
    expect(await ask('{"m":"queue.consume","p":["n1"],"i":1}', socket)).toBe('{"E":null,"r":{"s":true},"i":1}');
    expect(await ask('{"method":"queue.pop","params":["n2"],"id":1}', socket)).toBe(
      '{"error":null,"result":{"success":true},"id":1}',
    );
    engine.mesh.push(5, "n1", '"x"');
    engine.mesh.push(5, "n2", '"x"');
    expect(await socket.text()).toBe('{"e":"queue.pop","p":{"n":"engine0000","c":"5","t":"n1","d":"x"},"id":null}');
    expect(await socket.text()).toBe(
      '{"event":"queue.consume","result":{"client_id":"5","queue":"n2","data":"x"},"id":null}',
    );
    expect(await ask('{"m":"queue.unconsume","i":1}', socket)).toBe('{"E":null,"r":{"s":true},"i":1}');
    expect(await ask('{"method":"queue.unpop","id":1}', socket)).toBe(
      '{"error":null,"result":{"success":true},"id":1}',
    );
  });

  test("202 for a topic consumed already, which leaves the others alone", async () => {
    const socket = await engine.backend();
    await ask('{"method":"queue.consume","params":["a1"],"id":1}', socket);
    const error = await failure('{"method":"queue.consume","params":["a2","a1"],"id":12345}', socket);
    expect(error).toEqual({ code: 202, message: 'this connection already consumes "a1"; nothing was added' });
    expect(await ask('{"m":"queue.pop","p":["a2"],"i":1}', socket)).toBe('{"E":null,"r":{"s":true},"i":1}');
    engine.mesh.push(1, "a1", "1");
    expect((await socket.json()).result.queue).toBe("a1");
  });

  test("201 for a topic that cannot be, 101 for what is no topic", async () => {
    const socket = await engine.backend();
    const tooLong = "x".repeat(2000);
    const error = await failure(`{"method":"queue.consume","params":["b1","${tooLong}"],"id":1}`, socket);
    expect(error.code).toBe(201);
    expect(error.message).toContain("2000");
    // The first topic was given back: nobody consumes it.
    expect(engine.queues.stats().get("b1")).toBeUndefined();
    expect((await failure('{"method":"queue.consume","params":[],"id":1}', socket)).code).toBe(101);
    expect((await failure('{"method":"queue.unconsume","params":["b1"],"id":1}', socket)).code).toBe(101);
  });

  test("a second consume of the same topic after unconsume is no 202", async () => {
    const socket = await engine.backend();
    for (let turn = 0; turn < 3; turn++) {
      expect((JSON.parse(await ask('{"m":"queue.pop","p":["c1"]}', socket)) as { E: unknown }).E).toBeNull();
      expect((JSON.parse(await ask('{"m":"queue.unpop"}', socket)) as { E: unknown }).E).toBeNull();
    }
  });

  test("two consumers share a topic evenly, each message goes to one", async () => {
    const one = await engine.backend();
    const two = await engine.backend();
    await ask('{"m":"queue.pop","p":["share"]}', one);
    await ask('{"m":"queue.pop","p":["share"]}', two);
    for (let index = 0; index < 100; index++) engine.mesh.push(1, "share", String(index));
    const numbers = async (socket: TestSocket) => {
      const taken: number[] = [];
      for (let index = 0; index < 50; index++) taken.push((await socket.json()).p.d);
      return taken;
    };
    const [first, second] = [await numbers(one), await numbers(two)];
    expect([...first, ...second].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(first).toEqual(first.toSorted((a, b) => a - b));
  });

  test("a consumer that goes away leaves all its topics, and nothing that waits is lost", async () => {
    const gone = await engine.backend();
    await ask('{"m":"queue.pop","p":["d1","d2"]}', gone);
    gone.terminate();
    await gone.closed;
    while ((engine.queues.stats().get("d1")?.consumers ?? 0) > 0) await Bun.sleep(1);
    for (let index = 0; index < 10; index++) engine.mesh.push(1, "d1", String(index));
    const next = await engine.backend();
    await ask('{"m":"queue.pop","p":["d1"]}', next);
    for (let index = 0; index < 10; index++) expect((await next.json()).p.d).toBe(index);
    expect(engine.queues.stats().get("d2")).toBeUndefined();
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
    const reply = JSON.parse(await ask(text));
    expect(reply.error.code).toBe(100);
    expect(reply.error.message).toMatch(/expected|no method/);
    expect(await ask("ping")).toBe("pong");
  });

  test("deeply nested data passes or is an error, and the connection goes on", async () => {
    const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
    const reply = JSON.parse(await ask(`{"method":"mesh.send","params":[{"client_id":1,"data":${deep}}],"id":1}`));
    expect([100, 101, 401]).toContain(reply.error.code);
    expect(await ask("ping")).toBe("pong");
  });

  test("an array of requests is answered one by one, in order", async () => {
    backend.send('[{"method":"server.ping","id":1},5,{"m":"server.ping","i":2}]');
    expect(await backend.text()).toBe('{"error":null,"result":{"status":"server.pong"},"id":1}');
    expect((await backend.json()).error.code).toBe(100);
    expect(await backend.text()).toBe('{"E":null,"r":{"s":"server.pong"},"i":2}');
  });
});

/** The mesh, but a `conn.call` or `send` to client 1 is answered by an engine that takes its time. */
class SlowPeer implements Operations {
  readonly log: string[] = [];
  answer: () => void = () => {};
  constructor(readonly mesh: Mesh) {}
  send(clientId: number, data: string | Uint8Array) {
    if (clientId !== 1) return this.mesh.send(clientId, data);
    this.log.push(`send ${data}`);
    return new Promise<undefined>((resolve) => {
      this.answer = () => resolve(undefined);
    });
  }
  publish(channel: string, data: string | Uint8Array) {
    this.log.push(`publish ${channel}`);
    return this.mesh.publish(channel, data);
  }
  call(clientId: number, func: string, args: never[]) {
    this.log.push(`call ${func}`);
    if (clientId !== 1) return this.mesh.call(clientId, func, args);
    return new Promise<CallResult>((resolve) => {
      this.answer = () => {
        this.log.push(`done ${func}`);
        resolve({});
      };
    });
  }
  push(clientId: number, topic: string, data: string) {
    return this.mesh.push(clientId, topic, data);
  }
  declareTopic(topic: string, size: number) {
    return this.mesh.declareTopic(topic, size);
  }
  consume(...args: Parameters<Operations["consume"]>) {
    return this.mesh.consume(...args);
  }
  unconsume(...args: Parameters<Operations["unconsume"]>) {
    return this.mesh.unconsume(...args);
  }
  resume(...args: Parameters<Operations["resume"]>) {
    this.mesh.resume(...args);
  }
}

describe("another engine that takes its time", () => {
  let slow: SlowPeer;
  let other: ApiEngine;

  beforeAll(async () => {
    other = await ApiEngine.start({
      operations(mesh) {
        slow = new SlowPeer(mesh);
        return slow;
      },
    });
  });
  afterAll(() => other.stop());

  test("requests behind its conn.call wait for the answer, ping does not", async () => {
    const socket = await other.backend();
    slow.log.length = 0;
    socket.send('{"m":"conn.call","p":{"c":1,"f":"subscribe","a":["x"]},"i":1}');
    socket.send('{"m":"mesh.publish","p":{"c":"x","d":"y"},"i":2}');
    socket.send('[{"m":"mesh.publish","p":{"c":"z","d":"y"},"i":3},{"m":"server.ping","i":4}]');
    expect(await ask("ping", socket)).toBe("pong");
    expect(slow.log).toEqual(["call subscribe"]);
    slow.answer();
    expect([
      (await socket.json()).i,
      (await socket.json()).i,
      (await socket.json()).i,
      (await socket.json()).i,
    ]).toEqual([1, 2, 3, 4]);
    expect(slow.log).toEqual(["call subscribe", "done subscribe", "publish x", "publish z"]);
  });

  test("requests behind its mesh.send do not wait", async () => {
    const socket = await other.backend();
    slow.log.length = 0;
    socket.send('{"m":"mesh.send","p":{"c":1,"d":"x"},"i":1}');
    expect(await ask('{"m":"server.ping","i":2}', socket)).toBe('{"E":null,"r":{"s":"server.pong"},"i":2}');
    slow.answer();
    expect(await socket.text()).toBe('{"E":null,"r":{"s":true,"f":0,"t":1},"i":1}');
  });

  test("a connection that ends while it waits takes its waiting requests with it", async () => {
    const socket = await other.backend();
    const open = other.api.stats.clients;
    slow.log.length = 0;
    socket.send('{"m":"conn.call","p":{"c":1,"f":"context"},"i":1}');
    socket.send('{"m":"mesh.publish","p":{"c":"never","d":"y"},"i":2}');
    await ask("ping", socket);
    socket.close();
    await socket.closed;
    while (other.api.stats.clients === open) await Bun.sleep(1);
    slow.answer();
    // A round trip through the same event loop: what the answer set off has run by then.
    await ask("ping", await other.backend());
    expect(slow.log).toEqual(["call context", "done context"]);
  });
});
