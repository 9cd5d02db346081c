import { expect, test } from "bun:test";
import type { PublishCount } from "../../src/hub/hub.ts";
import { ApiEngine } from "../support/api-engine.ts";

/** An engine whose publishes come to `answer`, as if another engine had to be asked. */
function engineThatAnswers(answer: Promise<PublishCount>): Promise<ApiEngine> {
  return ApiEngine.start({
    operations: (mesh) =>
      new Proxy(mesh, {
        get: (target, name) => (name === "publish" ? () => answer : Reflect.get(target, name).bind(target)),
      }),
  });
}

const PUBLISH = { method: "mesh.publish", params: [{ channel: "news", data: "x" }], id: 1 };

test("a stopping engine answers what it was asked before it closes with 1001", async () => {
  const late = Promise.withResolvers<PublishCount>();
  const engine = await engineThatAnswers(late.promise);
  const [asking, idle] = [await engine.backend(), await engine.backend()];
  asking.sendJson(PUBLISH);
  asking.sendJson({ method: "server.ping", params: [], id: 2 });
  expect(await asking.json()).toMatchObject({ id: 2 });

  const stopped = engine.stop();
  expect((await idle.closed).code).toBe(1001);
  // Nobody comes back to an engine that is about to end.
  expect(await engine.backend().catch((error: Error) => error.message)).toContain("cannot connect");
  late.resolve({ total: 3, fail: 1 });
  expect(await asking.json()).toMatchObject({ id: 1, result: { total: 3, fail: 1 } });
  expect((await asking.closed).code).toBe(1001);
  await stopped;
});

test("an answer that does not come holds a stopping engine up for a short time only", async () => {
  const engine = await engineThatAnswers(new Promise(() => {}));
  const asking = await engine.backend();
  asking.sendJson(PUBLISH);
  asking.sendJson({ method: "server.ping", params: [], id: 2 });
  expect(await asking.json()).toMatchObject({ id: 2 });
  const started = performance.now();
  await engine.stop();
  expect((await asking.closed).code).toBe(1001);
  expect(performance.now() - started).toBeLessThan(4000);
});

test("what is pushed while a consumer is being closed stays in its topic", async () => {
  const engine = await ApiEngine.start();
  const consumer = await engine.backend();
  consumer.sendJson({ method: "queue.consume", params: ["foo"], id: 1 });
  expect(await consumer.json()).toMatchObject({ id: 1, error: null });
  engine.mesh.push(1, "foo", "1");
  const stopped = engine.api.stop();
  engine.mesh.push(1, "foo", "2");
  expect(await consumer.json()).toMatchObject({ result: { data: 1 } });
  expect((await consumer.closed).code).toBe(1001);
  expect(consumer.pending).toBe(0);
  expect(engine.queues.stats().get("foo")?.depth).toBe(1);
  await stopped;
  await engine.stop();
});
