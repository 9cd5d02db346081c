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
    title: "-p 2 over -p 1, all cores",
    unit: "message",
    figure: "throughput",
    reach: { ratioAtLeast: 1.7 },
    contenders: [
      connmix("connmix -p 1", { entry: "echo.lua", processes: 1, allCores: true }, load("client")),
      connmix("connmix -p 2", { entry: "echo.lua", processes: 2, allCores: true }, load("client")),
    ],
  },
];
