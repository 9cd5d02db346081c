import { apiTarget, connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { EchoLoad, SendLoad, Target } from "../load/load.ts";
import { socketIo, socketIoRedis } from "../peer.ts";
import type { Contender, Row } from "../row.ts";
import type { Running } from "../server-process.ts";

const PIPELINED = 64;
const DATA = "send".repeat(16);
const SOCKET_IO = "/socket.io/?EIO=4&transport=websocket";
const REQUEST = JSON.stringify({ method: "mesh.send", params: [{ client_id: "{id}", data: DATA }], id: 1 });

/** To clients on the engine (or node) whose `port` it is, through the API of the first. */
function connmixLoad(port: string, inFlight: number, clients: number) {
  return (server: Running): SendLoad => ({
    kind: "send",
    targets: [{ port: server.ports[port]!, protocol: "websocket", greetings: 1 }],
    clients,
    sender: apiTarget(server),
    request: REQUEST,
    inFlight,
  });
}

function socketIoLoad(port: string, clients: number) {
  return ({ ports }: Running): SendLoad => {
    const target = (name: string): Target => ({
      port: ports[name]!,
      protocol: "websocket",
      path: SOCKET_IO,
      hello: [{ after: 0, message: "40" }],
      greetings: 2,
    });
    return {
      kind: "send",
      targets: [target(port)],
      clients,
      sender: target("api"),
      request: `420["send","{id}","${DATA}"]`,
      idPattern: `"sid":"([^"]+)"`,
      inFlight: PIPELINED,
    };
  };
}

const jsonEcho = control(
  "bare Bun JSON echo",
  "json-echo.ts",
  ({ ports }): EchoLoad => ({
    kind: "echo",
    targets: [{ port: ports.api!, protocol: "websocket" }],
    connections: 1,
    inFlight: PIPELINED,
    message: REQUEST.replace("{id}", "1463786910324359"),
  }),
);

/** The least a server can do with a send as it comes: a write to one more socket for each is most of it. */
function bareSend(clients: number): Contender {
  return control(
    "bare Bun send",
    "send.ts",
    ({ ports }): SendLoad => ({
      kind: "send",
      targets: [{ port: ports.client!, protocol: "websocket", greetings: 1 }],
      clients,
      sender: { port: ports.api!, protocol: "websocket" },
      request: REQUEST,
      inFlight: PIPELINED,
    }),
  );
}

/** `clients` take turns: what a turn of the event loop has for one of them goes out in one write, what it has for 64 cannot. */
function pipelined(where: "local" | "remote", clients: number): Row {
  const local = where === "local";
  const port = local ? "client" : "client2";
  return {
    id: clients === 1 ? `send-${where}` : `send-${where}-${clients}`,
    title: `pipelined mesh.send to ${clients === 1 ? "a client" : `${clients} clients`} on ${local ? "this" : "another"} engine`,
    unit: "request",
    figure: "cpu",
    reach: { ratioAtMost: local ? 3 : 6 },
    large: clients > 1,
    contenders: [
      jsonEcho,
      bareSend(clients),
      connmix("connmix", { entry: "subscribe.lua", engines: local ? 1 : 2 }, connmixLoad(port, PIPELINED, clients)),
      (local ? socketIo : socketIoRedis)(socketIoLoad(port, clients)),
    ],
  };
}

const roundTrip: Row = {
  id: "send-round-trip",
  title: "mesh.send to another engine, one at a time: round trip",
  unit: "request",
  figure: "latency",
  contenders: [
    control(
      "bare TCP ping-pong",
      "line-echo.ts",
      ({ ports }): EchoLoad => ({
        kind: "echo",
        targets: [{ port: ports.client!, protocol: "lines" }],
        connections: 1,
        inFlight: 1,
        message: DATA,
      }),
    ),
    connmix("connmix", { entry: "subscribe.lua", engines: 2, allCores: true }, connmixLoad("client2", 1, 1)),
  ],
};

const MANY = 100;

export const sendRows = [
  pipelined("local", 1),
  pipelined("local", MANY),
  pipelined("remote", 1),
  pipelined("remote", MANY),
  roundTrip,
];
