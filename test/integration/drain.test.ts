import { expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { TestSocket } from "../support/websocket.ts";

const SCRIPT = `
function on_message(msg, conn)
  if msg.data == "wait" then conn:wait_context_value("never", 60) end
  if msg.data == "spin" then mix.sleep(60) end
  conn:send("done " .. msg.data)
end
function on_close(client_id, err, conn)
  mix.log(mix.INFO, "bye " .. client_id)
end
`;

test("SIGTERM closes clients with 1001 after on_close ran for each, also for one that waits, and exits 0", async () => {
  const node = await Connmix.start(
    "dev",
    { drainTimeout: 5, ...freePorts({ entry: "bye.lua" }) },
    { files: { "bye.lua": SCRIPT } },
  );
  const url = `ws://127.0.0.1:${node.serverPort()}`;
  const clients = await Promise.all(Array.from({ length: 50 }, () => TestSocket.connect(url)));
  clients[0]!.send("wait");
  clients[1]!.send("hello");
  expect(await clients[1]!.text()).toBe("done hello");
  const started = performance.now();
  node.signal("SIGTERM");
  const closes = await Promise.all(clients.map((client) => client.closed));
  expect(closes.map(({ code }) => code)).toEqual(Array.from({ length: 50 }, () => 1001));
  expect(await node.exited).toBe(0);
  expect(performance.now() - started).toBeLessThan(6000);
  const goodbyes = node.lines.filter((line) => /bye \d+$/.test(line));
  expect(new Set(goodbyes.map((line) => line.split(" ").pop())).size).toBe(50);
  expect(goodbyes.length).toBe(50);
});

test("what was sent just before the drain still arrives", async () => {
  const node = await Connmix.start("dev", freePorts({ entry: "bye.lua" }), { files: { "bye.lua": SCRIPT } });
  const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  for (let i = 0; i < 100; i++) client.send(String(i));
  expect(await client.text()).toBe("done 0");
  node.signal("SIGINT");
  for (let i = 1; i < 100; i++) expect(await client.text()).toBe(`done ${i}`);
  expect((await client.closed).code).toBe(1001);
  expect(await node.exited).toBe(0);
});

test("a second signal exits at once", async () => {
  // A client that never answers keeps the drain going until the second signal.
  const node = await Connmix.start(
    "dev",
    { drainTimeout: 60, ...freePorts({ entry: "bye.lua" }) },
    {
      files: { "bye.lua": "function on_message() end function on_close() mix.sleep(50) end" },
    },
  );
  await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  node.signal("SIGTERM");
  await node.line(/drain/i);
  const started = performance.now();
  node.signal("SIGTERM");
  expect(await node.exited).not.toBe(0);
  expect(performance.now() - started).toBeLessThan(2000);
});

test("a script with a syntax error is one clear line and exit code 1", async () => {
  const node = new Connmix("dev", freePorts({ entry: "broken.lua" }), {
    files: { "broken.lua": "function on_message(msg, conn)\n  conn:send(\nend\n" },
  });
  expect(await node.exited).toBe(1);
  expect(node.stderr).toMatch(/broken\.lua:3: unexpected symbol near 'end'/);
  expect(node.stderr.trim().split("\n").length).toBe(1);
});
