import { connect, createServer, type Server, type Socket } from "node:net";

/** A network between two programs, to be cut: everything that arrives at `port` goes to the target, and back. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #blocked = false;

  private constructor(target: number) {
    this.#server = createServer((near) => {
      const far = connect({ host: "127.0.0.1", port: target });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.on("data", (chunk) => to.write(chunk));
        from.on("error", () => to.destroy());
        from.on("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        if (this.#blocked) from.pause();
      }
    });
  }

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen({ port: 0, host: "127.0.0.1" }, resolve));
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  /** The connections are closed; new ones can be made. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing gets through any more, and no side is told. */
  block(): void {
    this.#blocked = true;
    for (const socket of this.#sockets) socket.pause();
  }

  unblock(): void {
    this.#blocked = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async dispose(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }
}
