// Socket.IO on Node, with the Redis adapter when a Redis port is given as the argument.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";

const redisPort = process.argv[2];
const server = createServer();
const io = new Server(server);
if (redisPort !== undefined) {
  const publisher = new Redis({ port: Number(redisPort) });
  io.adapter(createAdapter(publisher, publisher.duplicate()));
}

io.on("connection", (socket) => {
  socket.on("echo", (data) => socket.emit("echo", data));
  socket.on("join", (room, answer) => {
    socket.data.room = `room:${room}`;
    socket.join(socket.data.room);
    answer({ ok: true });
  });
  socket.on("say", (text, answer) => {
    const { room } = socket.data;
    io.to(room).emit("say", { room, text });
    answer({ ok: true });
  });
  socket.on("subscribe", () => socket.join("bench"));
  socket.on("publish", (data) => io.to("bench").emit("m", data));
  socket.on("send", (id, data, answer) => {
    io.to(id).emit("m", data);
    answer({ ok: true });
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ client: server.address().port, api: server.address().port })));
