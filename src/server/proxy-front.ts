import type { Socket, TCPSocketListener, TCPSocketListenOptions } from "bun";
import type { RemoteAddress } from "../listen/remote-address.ts";
import { plainAddress } from "../this-machine.ts";
import type { ProxyGreetings } from "./proxy-greetings.ts";

export interface ProxyFrontOptions {
  bind: string;
  /** Shares the port with sibling processes. */
  reusePort: boolean;
  remoteAddress: RemoteAddress;
  greetings: ProxyGreetings<End>;
  /** Seconds after which a client that takes nothing is cut off, 0 for never. The server behind should come first. */
  stallTimeout(): number;
}

/** One end of a relayed connection: the client's, or the one to the server behind. */
type End = Socket<Side | undefined>;

interface Side {
  other: End | undefined;
  /** Came in here and waits for the other end; while there is some, nothing more is read here. */
  tail: Uint8Array | undefined;
  /** This end is gone: the other goes too once it has taken the tail. */
  gone: boolean;
}

/** Who is at the far end of a connection. */
interface Client {
  address: string;
  port: number;
}

const LOOPBACK = "127.0.0.1";

/**
 * Stands before a server that cannot see a connection's first bytes (`Bun.serve`): reads the PROXY header of trusted
 * proxies, relays everything behind it over loopback, and knows by the port a relayed connection comes from who its client is.
 */
export class ProxyFront {
  readonly #options: ProxyFrontOptions;
  /** By the loopback port from which the server behind sees them come. */
  readonly #clients = new Map<number, Client>();
  #listener: TCPSocketListener<Side | undefined> | undefined;
  #target = 0;
  #relays = 0;
  #emptied: (() => void) | undefined;

  constructor(options: ProxyFrontOptions) {
    this.#options = options;
  }

  /** Listens on `port`, for the server on loopback's port `target`, and returns the port. Throws what Bun throws. */
  listen(port: number, target: number): number {
    this.#target = target;
    const { bind, reusePort, greetings } = this.#options;
    // `reusePort` works but is missing from Bun's types: named here so that the literal may carry it.
    const listen: TCPSocketListenOptions<Side | undefined> & { reusePort: boolean } = {
      port,
      hostname: bind,
      reusePort,
      socket: {
        open: (socket) => this.#open(socket),
        data: (socket, chunk) => {
          if (socket.data !== undefined) return this.#relay(socket, chunk);
          const greeted = greetings.take(socket, chunk);
          if (greeted !== undefined) this.#connect(socket, greeted, greeted.rest);
        },
        drain: (socket) => this.#drained(socket),
        timeout: (socket) => socket.terminate(),
        close: (socket) => {
          greetings.end(socket);
          if (socket.data === undefined) return;
          this.#closed(socket);
          this.#relays--;
          if (this.#relays === 0) this.#emptied?.();
        },
      },
    };
    this.#listener = Bun.listen(listen);
    return this.#listener.port;
  }

  /** The client whose connection reaches the server behind from that port; undefined when it did not pass here. */
  clientAt(port: number): Client | undefined {
    return this.#clients.get(port);
  }

  /** Gives the port back; connections stay. */
  stopListening(): void {
    this.#listener?.stop(false);
  }

  /** Resolves when the last client has gone, with everything that was sent to it before. */
  async emptied(): Promise<void> {
    if (this.#relays > 0)
      await new Promise<void>((resolve) => {
        this.#emptied = resolve;
      });
  }

  /** Ends every connection as well. */
  terminate(): void {
    this.#listener?.stop(true);
  }

  #open(socket: End): void {
    const { remoteAddress, greetings } = this.#options;
    if (remoteAddress.trusts(plainAddress(socket.remoteAddress))) greetings.begin(socket);
    else this.#connect(socket, { address: socket.remoteAddress, port: socket.remotePort });
  }

  #connect(socket: End, client: Client, rest?: Uint8Array): void {
    const side: Side = { other: undefined, tail: rest, gone: false };
    socket.data = side;
    this.#relays++;
    // Nothing is read, not even that the client has gone, until there is an other end.
    socket.pause();
    Bun.connect<Side | undefined>({
      hostname: LOOPBACK,
      port: this.#target,
      data: { other: socket, tail: undefined, gone: false },
      socket: {
        open: (server) => {
          side.other = server;
          this.#clients.set(server.localPort, client);
          this.#drained(server);
        },
        data: (server, chunk) => this.#relay(server, chunk),
        drain: (server) => this.#drained(server),
        close: (server) => {
          this.#clients.delete(server.localPort);
          this.#closed(server);
        },
      },
    }).catch(() => socket.terminate());
  }

  /** Passes a chunk on to the other end, and reads no more here while that one is behind. */
  #relay(from: End, chunk: Uint8Array): void {
    const side = from.data;
    // What comes for an end that is gone is dropped.
    if (side?.other === undefined || side.other.data?.gone) return;
    const taken = side.tail === undefined ? Math.max(0, side.other.write(chunk)) : 0;
    if (taken === chunk.length) return;
    const rest = chunk.subarray(taken);
    side.tail = side.tail === undefined ? rest : Buffer.concat([side.tail, rest]);
    from.pause();
    side.other.timeout(this.#options.stallTimeout());
  }

  /** This end takes bytes again: what waits for it first, then what the other end reads from now on. */
  #drained(to: End): void {
    const from = to.data?.other;
    const side = from?.data;
    if (from === undefined || side === undefined) return;
    if (side.tail !== undefined) {
      const taken = Math.max(0, to.write(side.tail));
      side.tail = taken === side.tail.length ? undefined : side.tail.subarray(taken);
      if (side.tail !== undefined) return;
      to.timeout(0);
    }
    if (side.gone) to.end();
    else from.resume();
  }

  /** One end is gone: the other takes what is left for it, and goes too. */
  #closed(end: End): void {
    const side = end.data;
    const other = side?.other;
    if (side === undefined || other?.data === undefined) return;
    side.gone = true;
    // What the other end has read has nowhere to go; it must read on to see its own end.
    other.data.tail = undefined;
    other.resume();
    if (side.tail === undefined) other.end();
  }
}
