import { afterAll, beforeAll, expect, test } from "bun:test";
import { join, resolve } from "node:path";
import { type Browser, chromium } from "playwright-core";
import type * as Library from "../../src/client/index.ts";
import { Connmix, freePorts } from "../support/connmix.ts";
import { TestSocket } from "../support/websocket.ts";

const ROOT = resolve(import.meta.dir, "../..");

declare const connmix: typeof Library;

let node: Connmix;
let browser: Browser;

beforeAll(async () => {
  node = await Connmix.start("dev", {
    ...freePorts({ entry: join(ROOT, "lua/entry.lua") }),
    cluster: { advertise: "127.0.0.1" },
    access: { users: [{ username: "app", password: "p:ä", roles: ["read", "write"] }] },
  });
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
});

afterAll(async () => {
  await browser.close();
  await node.stop();
});

test("a page of the engine's own origin consumes and answers, with credentials", async () => {
  const build = await Bun.build({
    entrypoints: [join(ROOT, "src/client/index.ts")],
    target: "browser",
    external: ["ws"],
    minify: true,
  });
  const source = await build.outputs[0]!.text();
  const origin = `http://127.0.0.1:${node.apiPort}`;
  const page = await browser.newPage();
  await page.goto(`${origin}/healthz`);
  await page.evaluate(async (text) => {
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    Object.assign(globalThis, { connmix: await import(url) });
  }, source);

  const socket = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  socket.send("from a client");
  const handled = await page.evaluate(async (url) => {
    const client = new connmix.Client({ url, username: "app", password: "p:ä" });
    for await (const { clientId, data } of client.consume<{ msg: { data: string } }>("foo")) {
      await client.send(clientId, `answer to ${data.msg.data}`);
      break;
    }
    const error = await client.send(1, "x").catch((thrown: unknown) => thrown);
    const { connected } = client;
    await client.close();
    return { connected, code: error instanceof connmix.ConnmixError && error.code };
  }, origin);
  expect(handled).toEqual({ connected: [`ws://127.0.0.1:${node.apiPort}/ws/v1`], code: 401 });
  expect(await socket.text()).toBe("answer to from a client");
  socket.close();
});
