import { connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { EchoLoad } from "../load/load.ts";
import type { Row } from "../row.ts";
import type { Running } from "../server-process.ts";

function load(inFlight: number) {
  return ({ ports }: Running): EchoLoad => ({
    kind: "echo",
    targets: [{ port: ports.client!, protocol: "lines" }],
    connections: 100,
    inFlight,
    message: "line".repeat(16),
  });
}

function lines(inFlight: number): Row {
  return {
    id: `lines-${inFlight}`,
    title: `text lines on a socket server, 64 B, ${inFlight} in flight`,
    unit: "line",
    figure: "cpu",
    contenders: [
      control("bare Bun.listen", "line-echo.ts", load(inFlight)),
      connmix("connmix", { entry: "lines.lua", protocol: "socket" }, load(inFlight)),
    ],
  };
}

export const lineRows = [lines(1), lines(16)];
