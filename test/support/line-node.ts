import { expect } from "bun:test";
import { connect, type Socket } from "node:net";
import { Connmix, freePorts } from "./connmix.ts";
import { eventually } from "./eventually.ts";

/** Lines of text; what the callbacks saw goes to the topic `seen`. */
export const LINES = `
function on_connect(client_id, conn)
  conn:send("id " .. client_id)
end
function protocol_input(buf, conn)
  if buf:byte(1) == 33 then return -1 end
  if buf:byte(1) == 63 then error("cannot read this") end
  if buf:byte(1) == 37 then return "many" end
  if buf:byte(1) == 38 then return 1e300 end
  return buf:find("\\n") or 0
end
function protocol_decode(str, conn)
  if str == "\\n" then return nil end
  return str:sub(1, -2)
end
function protocol_encode(value, conn)
  if value == "refuse" then return nil end
  if value == "fail" then error("cannot write this") end
  return tostring(value) .. "\\n"
end
local operations = {}
operations["close"] = function(conn) conn:send("bye") conn:close() end
operations["wait then close"] = function(conn) mix.sleep(0.3) conn:close() end
operations["slow"] = function(conn) mix.sleep(0.3) conn:send("slow answer") end
operations["clear"] = function(conn) conn:clear_buffer() conn:send("cleared") end
operations["join"] = function(conn) conn:send(tostring(conn:subscribe("room") or "joined")) end
operations["flood"] = function(conn)
  for i = 1, 5000 do conn:send(i .. " " .. string.rep("x", 1000)) end
end
operations["refuse"] = function(conn) conn:send(tostring(conn:send("refuse") == nil)) end
operations["table"] = function(conn) mix.websocket():send("same object") end
function on_message(line, conn)
  if operations[line] then return operations[line](conn) end
  mix.queue.push("seen", { line = line })
  conn:send(line)
end
function on_close(client_id, err, conn)
  mix.queue.push("seen", { closed = client_id, err = err or mix.null })
end
`;

/** A raw client that may end its own half and read on. */
export class Line {
  readonly socket: Socket;
  text = "";
  ended = false;
  failed: Error | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
    });
    this.socket.on("end", () => {
      this.ended = true;
    });
    this.socket.on("error", (error) => {
      this.failed = error;
      this.ended = true;
    });
  }

  async id(): Promise<string> {
    return eventually(() => {
      const found = /^id (\d+)\n/.exec(this.text)?.[1];
      if (found === undefined) throw new Error(`no id in ${JSON.stringify(this.text)}`);
      return found;
    });
  }

  /** Everything after the id, once it is `expected`. */
  async is(expected: string): Promise<void> {
    await eventually(() => expect(this.text.replace(/^id \d+\n/, "")).toBe(expected));
  }

  async end(): Promise<void> {
    await eventually(() => expect(this.ended).toBe(true));
  }
}

interface Seen {
  line?: string;
  closed?: string;
  err?: string | null;
}

/** A node with servers of lines, and a backend that notes what their script saw of each client. */
export class LineNode {
  readonly #seen = new Map<string, Seen[]>();
  readonly #lines: Line[] = [];

  private constructor(readonly node: Connmix) {
    const backend = new WebSocket(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    backend.onmessage = ({ data }) => {
      const { p } = JSON.parse(data);
      if (p !== undefined) this.#seen.set(p.c, [...(this.#seen.get(p.c) ?? []), p.d]);
    };
    backend.onopen = () => backend.send('{"m":"queue.consume","p":{"t":["seen"]}}');
  }

  /** `servers` are the options of one server each, of lines unless they say otherwise; `files` are further scripts. */
  static async start(servers: object[], files: Record<string, string> = {}): Promise<LineNode> {
    const all = servers.map((server) => ({
      port: 0,
      bind: "127.0.0.1",
      protocol: "socket",
      entry: "line.lua",
      ...server,
    }));
    const config = freePorts({}, { servers: all });
    const options = { servers: all.length, files: { "line.lua": LINES, ...files } };
    return new LineNode(await Connmix.start("dev", config, options));
  }

  /** A new client of the server. */
  async line(server = 0): Promise<Line> {
    const client = new Line(this.node.serverPort(server));
    this.#lines.push(client);
    await client.id();
    return client;
  }

  /** The lines on_message got from a client whose on_close has run, and what on_close got. */
  async whole(client: Line): Promise<{ lines: (string | undefined)[]; err: string | null | undefined }> {
    const id = await client.id();
    return eventually(() => {
      const all = this.#seen.get(id) ?? [];
      const last = all.at(-1);
      if (last?.closed !== id) throw new Error(`on_close of ${id} has not run: ${JSON.stringify(all).slice(0, 300)}`);
      return { lines: all.slice(0, -1).map(({ line }) => line), err: last.err };
    });
  }

  /** Cuts off the clients there are. */
  disconnect(): void {
    for (const line of this.#lines.splice(0)) line.socket.destroy();
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }
}
