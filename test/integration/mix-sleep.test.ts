import { afterAll, beforeAll, expect, test } from "bun:test";
import { LuaConsole } from "../support/lua-console.ts";

let console: LuaConsole;

beforeAll(async () => {
  console = await LuaConsole.start();
}, 30_000);

afterAll(() => console?.stop());

test("mix.sleep suspends its own client only, also inside pcall and a coroutine", async () => {
  const [sleeper, other] = [await console.client(), await console.client()];
  const slept = sleeper.run(`
    local began = mix.time()
    pcall(mix.sleep, 0.1)
    coroutine.wrap(function() mix.sleep(0.1) end)()
    mix.sleep(0)
    return mix.time() - began`);
  const first = await Promise.race([slept, other.run("return 'awake'")]);
  expect(first).toEqual(["awake"]);
  const [seconds] = await slept;
  expect(seconds).toBeGreaterThanOrEqual(0.19);
});

test("hundreds sleep at once", async () => {
  const clients = await Promise.all(Array.from({ length: 200 }, () => console.client()));
  const began = performance.now();
  const results = await Promise.all(clients.map((client) => client.run("mix.sleep(0.5) return 1")));
  expect(results.flat()).toEqual(clients.map(() => 1));
  expect(performance.now() - began).toBeLessThan(10_000);
});
