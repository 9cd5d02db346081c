import { connmix } from "../connmix.ts";
import type { EchoLoad } from "../load/load.ts";
import type { Row } from "../row.ts";
import type { Running } from "../server-process.ts";

function load(...clients: string[]) {
  return ({ ports }: Running): EchoLoad => ({
    kind: "echo",
    targets: clients.map((name) => ({ port: ports[name]!, protocol: "websocket" })),
    connections: 128,
    inFlight: 16,
    message: "echo".repeat(16),
  });
}

/**
 * 30,000 messages a second, less than one worker can do, so that each gets the same share of them as it has of the connections.
 * At full load the worker that need not share its core with the load client would do more.
 */
function pacedLoad(server: Running): EchoLoad {
  return { ...load("client")(server), connections: 500, inFlight: 4, pace: 66 };
}

export const processRows: Row[] = [
  {
    id: "engines",
    large: true,
    title: "1 engine → 4 engines, the same total load",
    unit: "message",
    figure: "cpu",
    reach: { ratioAtMost: 1.1 },
    contenders: [
      connmix("connmix, 1 engine", { entry: "echo.lua" }, load("client")),
      connmix("connmix, 4 engines", { entry: "echo.lua", engines: 4 }, load("client", "client2", "client3", "client4")),
    ],
  },
  {
    id: "workers",
    title: "-p 2 over -p 1, where each worker has a core",
    unit: "message",
    figure: "capacity",
    reach: { ratioAtLeast: 1.7 },
    contenders: [
      connmix("connmix -p 1", { entry: "echo.lua", processes: 1, allCores: true }, pacedLoad),
      connmix("connmix -p 2", { entry: "echo.lua", processes: 2, allCores: true }, pacedLoad),
    ],
  },
];
