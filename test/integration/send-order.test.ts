import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { LineClient } from "../support/line-client.ts";
import { metric, scrape } from "../support/metrics.ts";
import { TestSocket } from "../support/websocket.ts";

/** What one turn of the event loop sends to a client is gathered into one write: its order must not show that. */

const HANDLERS = `
local function greet(conn)
  conn:subscribe("all")
  conn:send(conn:client_id())
end
function on_handshake(client_id, headers, server, conn) greet(conn) end
function on_connect(client_id, conn) greet(conn) end

-- Sends 1 to 30 to one client in three ways, by turns.
function on_message(msg, conn)
  local to = type(msg) == "table" and msg.data or msg
  for i = 1, 30 do
    if i % 3 == 0 then
      mix.mesh.publish("all", tostring(i))
    elseif i % 3 == 1 or to ~= conn:client_id() then
      mix.mesh.send(to, tostring(i))
    else
      conn:send(tostring(i))
    end
  end
end
`;
const TEXT = `
local text = require("protocols.text")
protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
`;

const NUMBERS = Array.from({ length: 30 }, (_, i) => String(i + 1));

/** A client of either kind, past its greeting. */
interface Client {
  id: string;
  next(): Promise<string>;
  send(text: string): void;
}

let node: Connmix;

beforeAll(async () => {
  const config = freePorts({ entry: "web.lua" }) as { engine: { servers: object[] } };
  config.engine.servers.push({ port: 0, bind: "127.0.0.1", protocol: "socket", entry: "lines.lua" });
  node = await Connmix.start("dev", config, {
    files: { "web.lua": HANDLERS, "lines.lua": TEXT + HANDLERS },
    servers: 2,
  });
});
afterAll(async () => {
  await node.stop();
});

async function webSocketClient(): Promise<Client> {
  const socket = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(0)}`);
  return { id: await socket.text(), next: () => socket.text(), send: (text) => socket.send(text) };
}

async function lineClient(): Promise<Client> {
  const client = await LineClient.connect(node.serverPort(1));
  return { id: await client.line(), next: () => client.line(), send: (text) => client.send(`${text}\n`) };
}

async function take(client: Client, count: number): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) taken.push(await client.next());
  return taken;
}

async function sentMessages(): Promise<number> {
  return metric(await scrape(node.apiPort), "connmix_engine_servers_send_messages_total", 'protocol="websocket"');
}

describe.each([
  ["websocket", webSocketClient],
  ["socket", lineClient],
])("what is sent to a %s client", (_, connect) => {
  test("by requests of one connection, some of them publishes, comes in their order, and a close after it", async () => {
    const client = await connect();
    const api = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    const requests = NUMBERS.map((data, i) =>
      i % 3 === 0
        ? { method: "mesh.publish", params: [{ channel: "all", data }], id: i }
        : { method: "mesh.send", params: [{ client_id: client.id, data }], id: i },
    );
    for (const request of requests) api.sendJson(request);
    api.sendJson({ method: "conn.call", params: [{ client_id: client.id, func: "close", args: [] }], id: 30 });
    expect(await take(client, 30)).toEqual(NUMBERS);
    for (let id = 0; id <= 30; id++) {
      const reply = await api.json();
      expect(reply).toMatchObject({ id, error: null, result: { success: true } });
    }
    api.sendJson({ method: "mesh.send", params: [{ client_id: client.id, data: "late" }], id: 31 });
    expect((await api.json()).error.message).toMatch(/closing|no client/);
    api.close();
  });

  test("by its own callback, by send, mesh.send and publish in turn, comes in that order", async () => {
    const client = await connect();
    client.send(client.id);
    expect(await take(client, 30)).toEqual(NUMBERS);
  });

  test("by the callback of another client comes in order, to both", async () => {
    const client = await connect();
    const other = await connect();
    client.send(other.id);
    expect(await take(other, 30)).toEqual(NUMBERS);
    expect(await take(client, 10)).toEqual(NUMBERS.filter((number) => Number(number) % 3 === 0));
  });
});

test("more than a turn gathers is written in between, whole, in order and counted", async () => {
  const before = await sentMessages();
  const client = await webSocketClient();
  const api = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
  const parts = Array.from({ length: 40 }, (_, i) => `${i}:${"x".repeat(5000)}`);
  api.sendJson({ method: "mesh.send", params: parts.map((data) => ({ client_id: client.id, data })), id: 1 });
  expect((await api.json()).result).toEqual({ success: true, fail: 0, total: 40 });
  expect(await take(client, 40)).toEqual(parts);
  const after = await sentMessages();
  // The greeting is one more.
  expect(after - before).toBe(41);
  api.close();
});
