import { Connmix, freePorts } from "./connmix.ts";
import { TestSocket } from "./websocket.ts";

/** Runs the Lua that a client sends and answers what it returns, as a JSON array with null for nil. */
const ENTRY = `
function on_message(msg, conn)
  local chunk, err = load(msg.data, "=sent")
  if not chunk then return conn:send(mix.json_encode({ err })) end
  local results = table.pack(pcall(chunk, conn))
  local shown = {}
  for i = 2, results.n do
    shown[i - 1] = results[i] == nil and mix.null or results[i]
  end
  local text, encode_err = mix.json_encode(shown)
  conn:send(text or mix.json_encode({ encode_err }))
end
`;

/** An engine whose clients run Lua in it: for libraries that need servers and waiting callbacks. */
export class LuaConsole {
  private constructor(readonly node: Connmix) {}

  static async start(luavm: object = {}, env: Record<string, string> = {}): Promise<LuaConsole> {
    const config = freePorts({ entry: "console.lua" }, { luavm });
    return new LuaConsole(await Connmix.start("dev", config, { files: { "console.lua": ENTRY }, env }));
  }

  /** Another client: its calls run one after the other, while those of other clients go on. */
  async client(): Promise<LuaClient> {
    return new LuaClient(await TestSocket.connect(`ws://127.0.0.1:${this.node.serverPort()}`));
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }
}

export class LuaClient {
  constructor(readonly socket: TestSocket) {}

  /** What the source returns; a Lua error is the only result. */
  async run(source: string): Promise<unknown[]> {
    this.socket.send(source);
    return this.socket.json(20_000);
  }
}
