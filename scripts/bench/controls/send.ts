/** Bare `Bun.serve`: a request names a client, which is sent its data; the reply says so. Clients are told their ids. */
import { ready } from "./ready.ts";

const upgrade = (request: Request, server: Bun.Server<undefined>) =>
  server.upgrade(request) ? undefined : new Response(null, { status: 426 });
const byId = new Map<string, Bun.ServerWebSocket<undefined>>();

const clients = Bun.serve({
  port: 0,
  fetch: upgrade,
  websocket: {
    open: (ws) => {
      const id = String(2 ** 50 + byId.size);
      byId.set(id, ws);
      ws.send(id);
    },
    message: () => {},
  },
});
const senders = Bun.serve({
  port: 0,
  fetch: upgrade,
  websocket: {
    message: (ws, message) => {
      const { params, id } = JSON.parse(message as string);
      byId.get(params[0].client_id)?.send(params[0].data);
      ws.send(JSON.stringify({ error: null, result: { fail: 0, success: true, total: 1 }, id }));
    },
  },
});
ready({ client: clients.port!, api: senders.port! });
