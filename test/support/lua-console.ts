import { Connmix, freePorts } from "./connmix.ts";
import { TestSocket } from "./websocket.ts";

/**
 * A script that runs the Lua its clients send, and answers what that returns as a JSON array: null for nil, the name of its type
 * for what JSON does not have, and for an error its message only.
 */
export const LUA_CONSOLE = `
local function shown(value)
  local kind = type(value)
  if value == nil then return mix.null end
  if kind == "function" or kind == "thread" or kind == "userdata" and value ~= mix.null then return kind end
  return value
end
function on_message(msg, conn)
  local chunk, err = load(msg.data, "=sent")
  if not chunk then return conn:send(mix.json_encode({ err })) end
  local results = table.pack(pcall(chunk, conn))
  local answer = {}
  for i = 2, results.n do answer[i - 1] = shown(results[i]) end
  local text, encode_err = mix.json_encode(answer)
  conn:send(text or mix.json_encode({ encode_err }))
end
`;

/** An engine whose clients run Lua in it: for libraries that need servers and waiting callbacks. */
export class LuaConsole {
  private constructor(readonly node: Connmix) {}

  static async start(luavm: object = {}, env: Record<string, string> = {}): Promise<LuaConsole> {
    const config = freePorts({ entry: "console.lua" }, { luavm });
    return new LuaConsole(await Connmix.start("dev", config, { files: { "console.lua": LUA_CONSOLE }, env }));
  }

  /** Another client: its calls run one after the other, while those of other clients go on. */
  client(): Promise<LuaClient> {
    return LuaClient.connect(this.node);
  }

  async stop(): Promise<void> {
    await this.node.stop();
  }
}

/** A client of `LUA_CONSOLE`. */
export class LuaClient {
  private constructor(readonly socket: TestSocket) {}

  /** `server` is the place of the script among the node's servers. */
  static async connect(node: Connmix, server = 0): Promise<LuaClient> {
    return new LuaClient(await TestSocket.connect(`ws://127.0.0.1:${node.serverPort(server)}`));
  }

  /** What the source returns; a Lua error is the only result. */
  async run(source: string): Promise<unknown[]> {
    this.socket.send(source);
    return this.socket.json(20_000);
  }
}
