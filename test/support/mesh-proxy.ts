import type { Socket, TCPSocketListener } from "bun";
import type { NodeRecord } from "../../src/registry/registry.ts";

type Direction = "forward" | "backward";

/** One direction of a proxied connection: what has come and is still to be written. */
class Pipe {
  readonly #waiting: Buffer[] = [];
  source: Socket<unknown> | undefined;
  target: Socket<unknown> | undefined;
  held = false;

  /** Nothing is read any more, so that the sender's bytes pile up where they would with a peer that does not read. */
  hold(): void {
    this.held = true;
    this.source?.pause();
  }

  release(): void {
    this.held = false;
    this.source?.resume();
    this.flush();
  }

  take(chunk: Buffer): void {
    this.#waiting.push(Buffer.from(chunk));
    this.flush();
  }

  flush(): void {
    while (!this.held && this.target !== undefined && this.#waiting.length > 0) {
      const chunk = this.#waiting[0]!;
      const written = Math.max(0, this.target.write(chunk));
      if (written < chunk.length) {
        this.#waiting[0] = chunk.subarray(written);
        return;
      }
      this.#waiting.shift();
    }
  }

  drop(): void {
    this.#waiting.length = 0;
  }
}

interface Pair {
  forward: Pipe;
  backward: Pipe;
  sockets: Socket<unknown>[];
}

/** A TCP proxy in front of an engine's mesh port, to cut, hold and slow the link that leads through it. */
export class MeshProxy {
  connections = 0;
  /** Bytes that came from the dialing side. */
  bytes = 0;
  readonly #pairs = new Set<Pair>();
  #held = new Set<Direction>();
  #refusing = false;
  #server: TCPSocketListener<Pair> | undefined;
  readonly #target: { host: string; port: number };

  constructor(target: { host: string; port: number }) {
    this.#target = target;
  }

  /** Starts a proxy before `record`; returns it and the record that leads through it. */
  static before(record: NodeRecord): { proxy: MeshProxy; record: NodeRecord } {
    const proxy = new MeshProxy({ host: record.host, port: record.meshPort });
    return { proxy, record: { ...record, meshPort: proxy.listen() } };
  }

  listen(hostname = "127.0.0.1", port = 0): number {
    this.#server = Bun.listen<Pair>({
      hostname,
      port,
      socket: {
        open: (socket) => this.#accept(socket),
        data: (socket, chunk) => {
          this.bytes += chunk.length;
          socket.data.forward.take(chunk);
        },
        drain: (socket) => socket.data.backward.flush(),
        close: (socket) => this.#end(socket.data),
      },
    });
    return this.#server.port;
  }

  /** Ends every connection; with `refuse`, also those that would come. What was held is lost. */
  cut(refuse = false): void {
    this.#refusing = refuse;
    for (const pair of this.#pairs) this.#end(pair);
  }

  accept(): void {
    this.#refusing = false;
  }

  /** Nothing passes in this direction any more, nobody is told, and what comes waits for `release`. */
  hold(...directions: Direction[]): void {
    this.#held = new Set(directions);
    for (const pair of this.#pairs) for (const direction of directions) pair[direction].hold();
  }

  release(): void {
    this.#held.clear();
    for (const { forward, backward } of this.#pairs) {
      forward.release();
      backward.release();
    }
  }

  stop(): void {
    this.cut(true);
    this.#server?.stop(true);
  }

  #accept(socket: Socket<Pair>): void {
    const pair: Pair = { forward: new Pipe(), backward: new Pipe(), sockets: [socket as Socket<unknown>] };
    socket.data = pair;
    if (this.#refusing) {
      socket.terminate();
      return;
    }
    this.connections++;
    this.#pairs.add(pair);
    pair.backward.target = socket as Socket<unknown>;
    pair.forward.source = socket as Socket<unknown>;
    for (const direction of this.#held) pair[direction].hold();
    const { host, port } = this.#target;
    Bun.connect<Pair>({
      hostname: host,
      port,
      data: pair,
      socket: {
        open: (upstream) => {
          pair.sockets.push(upstream as Socket<unknown>);
          pair.forward.target = upstream as Socket<unknown>;
          pair.backward.source = upstream as Socket<unknown>;
          if (this.#held.has("backward")) pair.backward.hold();
          pair.forward.flush();
        },
        data: (_upstream, chunk) => pair.backward.take(chunk),
        drain: () => pair.forward.flush(),
        close: () => this.#end(pair),
        connectError: () => this.#end(pair),
      },
    }).catch(() => this.#end(pair));
  }

  #end(pair: Pair): void {
    if (!this.#pairs.delete(pair)) return;
    pair.forward.drop();
    pair.backward.drop();
    for (const socket of pair.sockets) socket.terminate();
  }
}
