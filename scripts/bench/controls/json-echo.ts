/** Bare `Bun.serve`: parses every message as JSON, makes JSON of it again and sends it back. */
import { ready } from "./ready.ts";

const server = Bun.serve({
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    message: (ws, message) => {
      ws.send(JSON.stringify(JSON.parse(message as string)));
    },
  },
});
ready({ api: server.port! });
