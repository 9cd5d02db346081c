/** Bare `Bun.serve`: the chat row's protocol with JSON, a room kept on the connection, `publish` and a reply. */
import { ready } from "./ready.ts";

interface Member {
  room: string;
}

const server = Bun.serve<Member>({
  port: 0,
  fetch: (request, server) =>
    server.upgrade(request, { data: { room: "" } }) ? undefined : new Response(null, { status: 426 }),
  websocket: {
    message: (ws, text) => {
      const message = JSON.parse(text as string);
      if (message.op === "join") {
        ws.data.room = `room:${message.room}`;
        ws.subscribe(ws.data.room);
      } else {
        server.publish(ws.data.room, JSON.stringify({ event: "say", room: ws.data.room, text: message.text }));
      }
      ws.send(JSON.stringify({ ok: true }));
    },
  },
});
ready({ client: server.port! });
