import { afterEach, expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

const EXPIRES_S = 0.5;
const CLIENTS = 200;

let node: Connmix;
afterEach(() => node.stop());

function startScripts(): Promise<Connmix> {
  const config = freePorts({ entry: "entry.lua", byteCodeExpires: EXPIRES_S });
  return Connmix.start("dev", config, { files: { "entry.lua": entry(1), "parts/answer.lua": part(1) } });
}

const entry = (version: number) => `
local answer = require("parts.answer")
local calls = 0
function on_handshake(client_id, headers, server, conn)
  conn:subscribe("everyone")
  conn:set_context_value("born", ${version})
end
function on_message(msg, conn)
  calls = calls + 1
  local number = msg.data:match("^echo (%d+)$")
  if number == "0" then mix.sleep(0.05) end
  if msg.data == "wait" then
    conn:send(conn:client_id())
    local value, err = conn:wait_context_value("go", 10)
    return conn:send("waited in ${version} for " .. tostring(value))
  end
  conn:send(answer(number, conn) .. " of entry ${version}")
end
`;
const part = (version: number) => `
return function(number, conn)
  return number .. " by part ${version} born " .. conn:context_value("born")
end
`;

/** A client that echoes all the time, one message behind the other, and notes what answered it. */
class EchoClient {
  versions = "";
  answered = 0;
  closed = false;
  running = true;
  #done: Promise<void>;

  private constructor(readonly socket: TestSocket) {
    void socket.closed.then(() => {
      this.closed = true;
    });
    this.#done = this.#run();
  }

  static async connect(): Promise<EchoClient> {
    return new EchoClient(await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`));
  }

  async stop(): Promise<void> {
    this.running = false;
    await this.#done;
  }

  async #run(): Promise<void> {
    for (let number = 0; this.running; number++) {
      // Two under way at a time.
      this.socket.send(`echo ${number}`);
      this.socket.send(`echo ${++number}`);
      for (const expected of [number - 1, number]) {
        const answer = /^(\d+) by part (\d+) born 1 of entry (\d+)$/.exec(await this.socket.text(20_000));
        if (Number(answer?.[1]) !== expected) throw new Error(`expected an answer to ${expected}, got ${answer?.[0]}`);
        this.versions = `${answer?.[2]} ${answer?.[3]}`;
        this.answered++;
      }
      await Bun.sleep(20);
    }
  }
}

test("200 clients echo while the entry and a module change ten times: nothing is lost, everyone has the new code in time", async () => {
  node = await startScripts();
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => EchoClient.connect()));
  const late: number[] = [];
  for (let version = 2; version <= 11; version++) {
    const partVersion = version % 2 === 0 ? version : version - 1;
    const entryVersion = version % 2 === 0 ? version - 1 : version;
    if (version % 2 === 0) node.writeFile("parts/answer.lua", part(version));
    else node.writeFile("entry.lua", entry(version));
    const saved = performance.now();
    await eventually(() => {
      const wanted = `${partVersion} ${entryVersion}`;
      const old = clients.filter(({ versions }) => versions !== wanted);
      if (old.length > 0) throw new Error(`${old.length} clients have ${old[0]?.versions} instead of ${wanted}`);
    });
    if (performance.now() - saved > (EXPIRES_S + 1) * 1000) late.push(performance.now() - saved);
  }
  await Promise.all(clients.map((client) => client.stop()));
  expect(late).toEqual([]);
  expect(clients.filter(({ closed }) => closed)).toEqual([]);
  const text = await scrape(node.apiPort);
  expect(metric(text, "connmix_engine_lua_reloads_total")).toBe(10);
  expect(metric(text, "connmix_engine_lua_errors_total")).toBe(0);
  expect(metric(text, "connmix_engine_servers_clients")).toBe(CLIENTS);
  // Subscriptions made by the first code stand.
  const response = await fetch(`http://127.0.0.1:${node.apiPort}/v1/mesh/publish`, {
    method: "POST",
    body: JSON.stringify({ channel: "everyone", data: "hello" }),
  });
  expect(await response.json()).toEqual({ error: null, result: { success: true, fail: 0, total: CLIENTS } });
  for (const { socket } of clients) expect(await socket.text()).toBe("hello");
}, 60_000);

test("a broken edit is logged once, with script and line, and the code before it goes on until the next good one", async () => {
  node = await startScripts();
  const client = await EchoClient.connect();
  await eventually(() => expect(client.versions).toBe("1 1"));
  const broken: [file: string, content: string, said: RegExp][] = [
    ["parts/answer.lua", "\nreturn function(number) return = end", /parts\/answer\.lua:2: unexpected symbol near '='/],
    ["parts/answer.lua", "\n\nerror('not today')", /parts\/answer\.lua:3: not today/],
    ["entry.lua", `${entry(1)}\nnonsense(`, /entry\.lua:\d+: .*<eof>/],
    ["entry.lua", "on_message = nil", /entry\.lua: a websocket script has to define on_message/],
    ["entry.lua", "while true do end", /entry\.lua:1: stopped: it ran longer than/],
    ["entry.lua", "require('parts.missing')", /entry\.lua:1: module 'parts\.missing' not found/],
  ];
  for (const [file, content, said] of broken) {
    const lines = node.lines.length;
    node.writeFile(file, content);
    await eventually(() => expect(node.lines.slice(lines).join("\n")).toMatch(said));
    const before = client.answered;
    await Bun.sleep(EXPIRES_S * 2000);
    expect(node.lines.slice(lines).filter((line) => said.test(line)).length).toBe(1);
    expect(client.answered).toBeGreaterThan(before);
    expect(client.versions).toBe("1 1");
    expect(metric(await scrape(node.apiPort), "connmix_engine_lua_last_reload_failed")).toBe(1);
    // Put right again, and new at the same time where it was not the entry that was broken.
    node.writeFile("entry.lua", `${entry(1)} -- ${content.length}`);
    node.writeFile("parts/answer.lua", part(1));
    await eventually(async () => {
      expect(metric(await scrape(node.apiPort), "connmix_engine_lua_last_reload_failed")).toBe(0);
    });
  }
  await client.stop();
}, 60_000);

test("a callback that waits ends in the code it began in; what comes after it has the new code", async () => {
  node = await startScripts();
  const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
  client.send("wait");
  client.send("echo 5");
  const client_id = await client.text();
  const witness = await EchoClient.connect();
  await eventually(() => expect(witness.versions).toBe("1 1"));
  node.writeFile("entry.lua", entry(2));
  await eventually(() => expect(witness.versions).toBe("1 2"));
  await witness.stop();
  const response = await fetch(`http://127.0.0.1:${node.apiPort}/v1/conn/call`, {
    method: "POST",
    body: JSON.stringify({ client_id, func: "set_context_value", args: ["go", "on"] }),
  });
  expect(await response.json()).toEqual({ error: null, result: { success: true } });
  expect(await client.text()).toBe("waited in 1 for on");
  expect(await client.text()).toBe("5 by part 1 born 1 of entry 2");
});
