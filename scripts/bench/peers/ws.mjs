// ws on Node, by path: /echo, /chat (the chat row's protocol), /subscribe and /publish (everything sent there goes to all subscribers).
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const subscribers = new Set();
const rooms = new Map();

function chat(ws) {
  let room;
  ws.on("message", (data) => {
    const message = JSON.parse(data.toString());
    if (message.op === "join") {
      room = `room:${message.room}`;
      if (!rooms.has(room)) rooms.set(room, new Set());
      rooms.get(room).add(ws);
    } else {
      const event = JSON.stringify({ event: "say", room, text: message.text });
      for (const member of rooms.get(room)) member.send(event);
    }
    ws.send(JSON.stringify({ ok: true }));
  });
  ws.on("close", () => rooms.get(room)?.delete(ws));
}

const server = createServer();
const sockets = new WebSocketServer({ server });
sockets.on("connection", (ws, request) => {
  switch (request.url) {
    case "/echo":
      ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
      break;
    case "/chat":
      chat(ws);
      break;
    case "/subscribe":
      subscribers.add(ws);
      ws.on("close", () => subscribers.delete(ws));
      break;
    case "/publish":
      ws.on("message", (data, isBinary) => {
        for (const subscriber of subscribers) subscriber.send(data, { binary: isBinary });
      });
      break;
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ client: server.address().port, api: server.address().port })));
