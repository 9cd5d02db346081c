import { connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { EchoLoad } from "../load/load.ts";
import { nginxLua, socketIo, ws } from "../peer.ts";
import type { Row } from "../row.ts";
import type { Running } from "../server-process.ts";

const CONNECTIONS = 100;
/** 64 bytes. */
const TEXT = "echo".repeat(16);

function load(inFlight: number, path: string, message = TEXT) {
  return (server: Running): EchoLoad => ({
    kind: "echo",
    targets: [{ port: server.ports.client!, protocol: "websocket", path }],
    connections: CONNECTIONS,
    inFlight,
    message,
  });
}

function socketIoLoad(inFlight: number) {
  return (server: Running): EchoLoad => ({
    ...load(inFlight, "")(server),
    targets: [
      {
        port: server.ports.client!,
        protocol: "websocket",
        path: "/socket.io/?EIO=4&transport=websocket",
        hello: [{ after: 0, message: "40" }],
        greetings: 2,
      },
    ],
    message: `42["echo","${TEXT}"]`,
  });
}

function echo(inFlight: number, ratioAtMost: number): Row {
  return {
    id: `echo-${inFlight}`,
    title: `echo through Lua, 64 B, ${inFlight} in flight`,
    unit: "message",
    figure: "cpu",
    reach: { ratioAtMost },
    contenders: [
      control("bare Bun.serve", "echo.ts", load(inFlight, "/")),
      connmix("connmix", { entry: "echo.lua" }, load(inFlight, "/")),
      ws(load(inFlight, "/echo")),
      socketIo(socketIoLoad(inFlight)),
      nginxLua(load(inFlight, "/echo")),
    ],
  };
}

const luaWebSocket: Row = {
  id: "lua-websocket",
  title: "WebSocket written in Lua, echo of 1 KiB, 1 in flight",
  unit: "message",
  figure: "cpu",
  contenders: [
    control("bare Bun.serve", "echo.ts", load(1, "/", "1 KiB of text...".repeat(64))),
    connmix("connmix", { entry: "websocket.lua", protocol: "socket" }, load(1, "/", "1 KiB of text...".repeat(64))),
    nginxLua(load(1, "/echo", "1 KiB of text...".repeat(64))),
  ],
};

export const echoRows = [echo(1, 1.6), echo(16, 5), luaWebSocket];
