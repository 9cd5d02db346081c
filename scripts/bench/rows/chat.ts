import { connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { EchoLoad } from "../load/load.ts";
import { socketIo, ws } from "../peer.ts";
import type { Row } from "../row.ts";
import type { Running } from "../server-process.ts";

const TEXT = "what was said in the room ".repeat(2);

/** 100 clients in rooms of ten; the reply is told from the room's publishes by its length. */
function load(path: string) {
  return (server: Running): EchoLoad => ({
    kind: "echo",
    targets: [
      {
        port: server.ports.client!,
        protocol: "websocket",
        path,
        hello: [{ after: 0, message: `{"op":"join","room":{room}}` }],
        greetings: 1,
      },
    ],
    connections: 100,
    inFlight: 1,
    message: JSON.stringify({ op: "say", text: TEXT }),
    longestReply: 16,
  });
}

function socketIoLoad(server: Running): EchoLoad {
  return {
    ...load("")(server),
    targets: [
      {
        port: server.ports.client!,
        protocol: "websocket",
        path: "/socket.io/?EIO=4&transport=websocket",
        hello: [
          { after: 0, message: "40" },
          { after: 2, message: `420["join",{room}]` },
        ],
        greetings: 3,
      },
    ],
    message: `420["say","${TEXT}"]`,
  };
}

export const chatRow: Row = {
  id: "chat",
  title: "chat message: JSON, context, publish to a room of 10, reply",
  unit: "message",
  figure: "cpu",
  contenders: [
    control("bare Bun.serve", "chat.ts", load("/")),
    connmix("connmix", { entry: "chat.lua" }, load("/")),
    ws(load("/chat")),
    socketIo(socketIoLoad),
  ],
};
