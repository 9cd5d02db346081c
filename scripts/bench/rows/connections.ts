import { connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { ConnectLoad, HoldLoad, Target } from "../load/load.ts";
import { nchan, nginxLua, socketIo, ws } from "../peer.ts";
import type { Contender, Row } from "../row.ts";
import type { Running } from "../server-process.ts";

type TargetOf = (server: Running) => Target;

const at =
  (path: string): TargetOf =>
  ({ ports }) => ({ port: ports.client!, protocol: "websocket", path });

const socketIoTarget: TargetOf = (server) => ({
  ...at("/socket.io/?EIO=4&transport=websocket")(server),
  hello: [{ after: 0, message: "40" }],
  greetings: 2,
});

function contenders<L extends ConnectLoad | HoldLoad>(load: (target: Target) => L): Contender[] {
  const to = (target: TargetOf) => (server: Running) => load(target(server));
  return [
    control("bare Bun.serve", "echo.ts", to(at("/"))),
    connmix("connmix", { entry: "echo.lua" }, to(at("/"))),
    ws(to(at("/echo"))),
    socketIo(to(socketIoTarget)),
    nginxLua(to(at("/echo"))),
    nchan(to(at("/sub"))),
  ];
}

export function connectionRows(idleConnections: number): Row[] {
  return [
    {
      id: "connects",
      title: "connects: open, upgrade, close",
      unit: "connect",
      figure: "throughput",
      reach: { ratioAtLeast: 0.7 },
      contenders: contenders((target) => ({ kind: "connect", targets: [target], atOnce: 32 })),
    },
    {
      id: "idle",
      title: `memory of an idle connection, of ${idleConnections.toLocaleString("en")}`,
      unit: "connection",
      figure: "memory",
      reach: { atMost: 4096 },
      fresh: true,
      contenders: contenders((target) => ({ kind: "hold", targets: [target], connections: idleConnections })),
    },
  ];
}
