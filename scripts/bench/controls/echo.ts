/** Bare `Bun.serve`: sends every message back. */
import { ready } from "./ready.ts";

const server = Bun.serve({
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    message: (ws, message) => {
      ws.send(message);
    },
  },
});
ready({ client: server.port! });
