import { Client } from "../../src/client/index.ts";
import type { Connmix } from "./connmix.ts";
import { TestSocket } from "./websocket.ts";

/** A backend on the API of this one engine, through one connection. */
export function backendOf(engine: Connmix, requestTimeout = 10_000): Client {
  return new Client({ url: `http://127.0.0.1:${engine.apiPort}`, discover: false, requestTimeout });
}

/** A client of an engine's protocol server, and the id it has. */
export interface GatewayClient {
  socket: TestSocket;
  id: string;
}

export async function connectTo(engine: Connmix): Promise<GatewayClient> {
  const socket = await TestSocket.connect(`ws://127.0.0.1:${engine.serverPort()}`);
  return { socket, id: await socket.ask("id") };
}
