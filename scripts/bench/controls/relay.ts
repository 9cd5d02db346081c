/** Bare `Bun.serve`: what comes in on one port goes to the one connection on the other. */
import { ready } from "./ready.ts";

const upgrade = (request: Request, server: Bun.Server<undefined>) =>
  server.upgrade(request) ? undefined : new Response(null, { status: 426 });
let consumer: Bun.ServerWebSocket<undefined> | undefined;

const consumers = Bun.serve({
  port: 0,
  fetch: upgrade,
  websocket: {
    open: (ws) => {
      consumer = ws;
    },
    message: () => {},
  },
});
const clients = Bun.serve({
  port: 0,
  fetch: upgrade,
  websocket: {
    message: (_, message) => {
      consumer?.send(message);
    },
  },
});
ready({ client: clients.port!, api: consumers.port! });
