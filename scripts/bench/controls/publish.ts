/** Bare `Bun.serve`: what comes in on one port is published to everyone on the other. */
import { ready } from "./ready.ts";

const CHANNEL = "bench";
const upgrade = (request: Request, server: Bun.Server<undefined>) =>
  server.upgrade(request) ? undefined : new Response(null, { status: 426 });

const subscribers = Bun.serve({
  port: 0,
  fetch: upgrade,
  websocket: {
    open: (ws) => {
      ws.subscribe(CHANNEL);
    },
    message: () => {},
  },
});
const publisher = Bun.serve({
  port: 0,
  fetch: upgrade,
  websocket: {
    message: (_, message) => {
      subscribers.publish(CHANNEL, message);
    },
  },
});
ready({ client: subscribers.port!, api: publisher.port! });
