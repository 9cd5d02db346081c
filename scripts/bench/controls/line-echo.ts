/** Bare `Bun.listen`: sends every newline-terminated line back, keeping what the socket did not take. */
import { ready } from "./ready.ts";

interface Stream {
  /** The beginning of a line whose end has not come. */
  partial: Buffer;
  unsent: Buffer;
}

function send(socket: Bun.Socket<Stream>, bytes: Buffer): void {
  if (socket.data.unsent.length > 0) {
    socket.data.unsent = Buffer.concat([socket.data.unsent, bytes]);
    return;
  }
  const written = Math.max(0, socket.write(bytes));
  if (written < bytes.length) socket.data.unsent = Buffer.from(bytes.subarray(written));
}

const NOTHING = Buffer.alloc(0);

const listener = Bun.listen<Stream>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    open: (socket) => {
      socket.data = { partial: NOTHING, unsent: NOTHING };
    },
    data: (socket, chunk) => {
      const bytes = socket.data.partial.length === 0 ? chunk : Buffer.concat([socket.data.partial, chunk]);
      let start = 0;
      for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
        send(socket, bytes.subarray(start, end + 1));
        start = end + 1;
      }
      socket.data.partial = start === bytes.length ? NOTHING : Buffer.from(bytes.subarray(start));
    },
    drain: (socket) => {
      const { unsent } = socket.data;
      socket.data.unsent = NOTHING;
      send(socket, unsent);
    },
  },
});
ready({ client: listener.port });
