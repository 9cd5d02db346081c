import { afterAll, beforeAll, expect, test } from "bun:test";
import type { CallResult } from "../../src/hub/calls.ts";
import type { Mesh } from "../../src/mesh/mesh.ts";
import type { Operations } from "../../src/mesh/operations.ts";
import { ApiEngine } from "../support/api-engine.ts";

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
  expect(await socket.ask("ping")).toBe("pong");
  expect(slow.log).toEqual(["call subscribe"]);
  slow.answer();
  expect([(await socket.json()).i, (await socket.json()).i, (await socket.json()).i, (await socket.json()).i]).toEqual([
    1, 2, 3, 4,
  ]);
  expect(slow.log).toEqual(["call subscribe", "done subscribe", "publish x", "publish z"]);
});

test("requests behind its mesh.send do not wait", async () => {
  const socket = await other.backend();
  slow.log.length = 0;
  socket.send('{"m":"mesh.send","p":{"c":1,"d":"x"},"i":1}');
  expect(await socket.ask('{"m":"server.ping","i":2}')).toBe('{"E":null,"r":{"s":"server.pong"},"i":2}');
  slow.answer();
  expect(await socket.text()).toBe('{"E":null,"r":{"s":true,"f":0,"t":1},"i":1}');
});

test("a connection that ends while it waits takes its waiting requests with it", async () => {
  const socket = await other.backend();
  const open = other.api.stats.clients;
  slow.log.length = 0;
  socket.send('{"m":"conn.call","p":{"c":1,"f":"context"},"i":1}');
  socket.send('{"m":"mesh.publish","p":{"c":"never","d":"y"},"i":2}');
  await socket.ask("ping");
  socket.close();
  await socket.closed;
  while (other.api.stats.clients === open) await Bun.sleep(1);
  slow.answer();
  // A round trip through the same event loop: what the answer set off has run by then.
  await (await other.backend()).ask("ping");
  expect(slow.log).toEqual(["call context", "done context"]);
});
