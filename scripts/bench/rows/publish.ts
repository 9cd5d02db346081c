import { apiTarget, connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { FanoutLoad, Target } from "../load/load.ts";
import { nchan, socketIo, socketIoRedis, ws } from "../peer.ts";
import type { Row } from "../row.ts";
import type { Running } from "../server-process.ts";

const SUBSCRIBERS = 500;
const PAYLOAD = "news".repeat(16);
const SOCKET_IO = "/socket.io/?EIO=4&transport=websocket";

function load(targets: Target[], publisher: Target, publish: string): FanoutLoad {
  return { kind: "fanout", targets, subscribers: SUBSCRIBERS, publisher, publish, inFlight: 4 };
}

/** For servers where subscribers and the publisher differ by port or path, and what is published is the bare payload. */
function bare(subscribe: string, publish: string) {
  return ({ ports }: Running): FanoutLoad =>
    load(
      [{ port: ports.client!, protocol: "websocket", path: subscribe }],
      { port: ports.api!, protocol: "websocket", path: publish },
      PAYLOAD,
    );
}

function connmixLoad(...clients: string[]) {
  return (server: Running): FanoutLoad =>
    load(
      clients.map((name) => ({ port: server.ports[name]!, protocol: "websocket", greetings: 1 })),
      apiTarget(server),
      JSON.stringify({ method: "mesh.publish", params: [{ channel: "bench", data: PAYLOAD }], id: 1 }),
    );
}

function socketIoLoad(...clients: string[]) {
  return ({ ports }: Running): FanoutLoad =>
    load(
      clients.map((name) => ({
        port: ports[name]!,
        protocol: "websocket",
        path: SOCKET_IO,
        hello: [
          { after: 0, message: "40" },
          { after: 2, message: `42["subscribe"]` },
        ],
        greetings: 2,
      })),
      { port: ports.api!, protocol: "websocket", path: SOCKET_IO, hello: [{ after: 0, message: "40" }], greetings: 2 },
      `42["publish","${PAYLOAD}"]`,
    );
}

const local: Row = {
  id: "publish",
  title: "publish through the API to 500 local subscribers",
  unit: "delivery",
  figure: "cpu",
  reach: { ratioAtMost: 1.1 },
  contenders: [
    control("bare Bun server.publish", "publish.ts", bare("/", "/")),
    connmix("connmix", { entry: "subscribe.lua" }, connmixLoad("client")),
    ws(bare("/subscribe", "/publish")),
    socketIo(socketIoLoad("client")),
    nchan(bare("/sub", "/pub")),
  ],
};

const twoEngines: Row = {
  id: "publish-two-engines",
  title: "publish to 250 + 250 subscribers on two engines",
  unit: "delivery",
  figure: "cpu",
  reach: { ratioAtMost: 1.25 },
  contenders: [
    control("bare Bun, one process", "publish.ts", bare("/", "/")),
    connmix("connmix", { entry: "subscribe.lua", engines: 2 }, connmixLoad("client", "client2")),
    socketIoRedis(socketIoLoad("client", "client2")),
  ],
};

/** Engines without subscribers must cost a publish nothing. */
const growing: Row = {
  id: "publish-growing",
  large: true,
  title: "publish to 500 subscribers on one engine of 1 to 8",
  unit: "delivery",
  figure: "cpu",
  reach: { ratioAtMost: 1.1 },
  contenders: [1, 2, 4, 8].map((engines) =>
    connmix(
      `connmix, ${engines} engine${engines > 1 ? "s" : ""}`,
      { entry: "subscribe.lua", engines },
      connmixLoad("client"),
    ),
  ),
};

export const publishRows = [local, twoEngines, growing];
