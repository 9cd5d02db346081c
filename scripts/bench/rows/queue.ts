import { apiTarget, connmix } from "../connmix.ts";
import { control } from "../control.ts";
import type { RelayLoad, Target } from "../load/load.ts";
import type { Row } from "../row.ts";
import type { Running } from "../server-process.ts";

function load(consumer: (server: Running) => Target) {
  return (server: Running): RelayLoad => ({
    kind: "relay",
    targets: [{ port: server.ports.client!, protocol: "websocket" }],
    clients: 100,
    consumer: consumer(server),
    message: "push".repeat(16),
    inFlight: 200,
  });
}

export const queueRow: Row = {
  id: "queue",
  title: "client → Lua → queue → consumer",
  unit: "message",
  figure: "cpu",
  reach: { ratioAtMost: 8 },
  contenders: [
    control(
      "bare Bun relay",
      "relay.ts",
      load(({ ports }) => ({ port: ports.api!, protocol: "websocket" })),
    ),
    connmix(
      "connmix",
      { entry: "queue.lua" },
      load((server) =>
        apiTarget(server, {
          hello: [{ after: 0, message: `{"method":"queue.consume","params":["bench"],"id":1}` }],
          greetings: 1,
        }),
      ),
    ),
  ],
};
