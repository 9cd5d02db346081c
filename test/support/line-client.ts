import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

/** A TCP client that reads lines. */
export class LineClient {
  readonly #lines: string[] = [];
  readonly #waiting: ((line: string) => void)[] = [];
  readonly closed: Promise<void>;

  /** `socket` is connected. */
  constructor(readonly socket: Socket) {
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    const lines = createInterface({ input: socket });
    // The server may reset the connection; `closed` tells.
    lines.on("error", () => {});
    lines.on("line", (line) => {
      const taker = this.#waiting.shift();
      if (taker !== undefined) taker(line);
      else this.#lines.push(line);
    });
  }

  static async connect(port: number): Promise<LineClient> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => {});
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new LineClient(socket);
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  async line(timeoutMs = 10_000): Promise<string> {
    const first = this.#lines.shift();
    if (first !== undefined) return first;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no line within ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.push((line) => {
        clearTimeout(timer);
        resolve(line);
      });
    });
  }

  close(): void {
    this.socket.destroy();
  }
}
