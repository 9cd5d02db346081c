import type { Socket, TCPSocketListener, TCPSocketListenOptions } from "bun";
import type { Failure, Payload } from "../hub/connection.ts";
import type { CertificatePair } from "../listen/certificate.ts";
import { ListeningPort } from "../listen/listening-port.ts";
import type { StreamConnection } from "../lua/script.ts";
import { StreamBuffer } from "../lua/stream-buffer.ts";
import { plainAddress } from "../this-machine.ts";
import { listenError, Port, type PortOptions, type PortParts } from "./port.ts";
import { ProxyGreetings } from "./proxy-greetings.ts";
import { CLOSING, ServerConnection } from "./server-connection.ts";

type ClientSocket = Socket<SocketConnection | undefined>;

const utf8 = new TextEncoder();

export class SocketConnection extends ServerConnection implements StreamConnection {
  readonly buffer = new StreamBuffer();
  #socket: ClientSocket | undefined;
  /** What the kernel did not take yet, in order. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #paused = false;
  /** The client sends no more. */
  #peerEnded = false;

  constructor(id: number, remoteAddr: string, port: SocketPort, socket: ClientSocket) {
    super(id, remoteAddr, port);
    this.#socket = socket;
  }

  override write(data: Payload): Failure {
    if (!this.open) return CLOSING;
    const bytes = typeof data === "string" ? utf8.encode(data) : data;
    this.port.stats.sentMessages++;
    return this.gather(bytes);
  }

  override send(data: Payload): Failure {
    if (!this.open) return CLOSING;
    const encoded = this.port.script.encode(this, data);
    if (encoded instanceof Uint8Array) return this.write(encoded);
    this.port.stats.sendErrors++;
    return encoded.error;
  }

  override waitingBytes(): number {
    return this.#waitingBytes;
  }

  pauseReading(): void {
    this.#paused = true;
    this.#socket?.pause();
  }

  resumeReading(): void {
    this.#paused = false;
    this.#socket?.resume();
  }

  packetRead(): void {
    this.port.stats.readMessages++;
  }

  refusePacket(length: number): boolean {
    const tooLarge = length > this.port.limits.readBufferSize;
    if (tooLarge) this.#tooLarge(`a packet of ${length} bytes, more than readBufferSize`);
    return tooLarge;
  }

  /** After a chunk has been read as far as that goes. */
  checkWaiting(): void {
    // While reading is paused, whole packets wait behind a callback: that is not one packet that is too large.
    if (!this.open || this.#paused || this.buffer.length <= this.port.limits.readBufferSize) return;
    this.#tooLarge(`${this.buffer.length} bytes wait without a complete packet, more than readBufferSize`);
  }

  #tooLarge(what: string): void {
    const { stats, throttled, limits } = this.port;
    stats.tooLarge++;
    throttled.warn(
      "message too large",
      `client ${this.id} (${this.remoteAddr}) closed with 1009: ${what} (${limits.readBufferSize})`,
    );
    this.fail(1009, what);
  }

  /** The kernel has room again. */
  onDrain(): void {
    while (this.#waiting.length > 0 && this.#socket !== undefined) {
      const head = this.#waiting[0]!;
      const taken = Math.max(0, this.#socket.write(head));
      this.#waitingBytes -= taken;
      if (taken < head.length) {
        this.#waiting[0] = head.subarray(taken);
        break;
      }
      this.#waiting.shift();
    }
    this.drained();
  }

  /** The socket is gone: nothing can be written or waits any more. */
  detach(): void {
    this.#socket = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  onPeerEnd(): void {
    this.#peerEnded = true;
  }

  /** Ends this half; what the client still sends is read and dropped, as a reset would take back what was sent to it. */
  protected override finish(): void {
    if (this.#peerEnded) this.#socket?.end();
    else this.#socket?.shutdown();
    if (this.#paused) this.resumeReading();
  }

  protected override terminate(): void {
    this.#socket?.terminate();
  }

  protected override put(payloads: readonly Uint8Array[]): Failure {
    if (this.#socket === undefined) return CLOSING;
    let rest = payloads.length === 1 ? payloads[0]! : Buffer.concat(payloads);
    if (this.#waiting.length === 0) {
      const taken = Math.max(0, this.#socket.write(rest));
      if (taken === rest.length) return undefined;
      rest = rest.subarray(taken);
    }
    this.#waiting.push(rest);
    this.#waitingBytes += rest.length;
    this.pressed();
    return undefined;
  }
}

/** A port whose protocol is defined by its script, by `Bun.listen`. */
export class SocketPort extends Port {
  readonly protocol = "socket";
  readonly #listening: ListeningPort<TCPSocketListener<SocketConnection | undefined>>;
  /** Bun has no channels for plain sockets. */
  readonly #channels = new Map<string, Set<SocketConnection>>();
  readonly #greetings: ProxyGreetings<ClientSocket>;

  constructor(options: PortOptions, parts: PortParts) {
    super(options, parts);
    this.#listening = new ListeningPort((port, pair) => this.#listen(port, pair), options.certificate);
    this.#greetings = new ProxyGreetings(this.stats, this.throttled);
  }

  override listen(): number {
    const { port, bind } = this.options;
    try {
      return this.#listening.listen(port);
    } catch (thrown) {
      throw listenError("the protocol server", bind, port, thrown);
    }
  }

  #listen(port: number, pair: CertificatePair | undefined): TCPSocketListener<SocketConnection | undefined> {
    // `reusePort` works but is missing from Bun's types: named here so that the literal may carry it.
    const listen: TCPSocketListenOptions<SocketConnection | undefined> & { reusePort: boolean } = {
      port,
      hostname: this.options.bind,
      reusePort: this.options.reusePort,
      // A client may end its half after the last request and still read the answers.
      allowHalfOpen: true,
      ...(pair && { tls: pair }),
      socket: {
        open: (socket) => this.#open(socket),
        data: (socket, chunk) => this.#data(socket, chunk),
        drain: (socket) => socket.data?.onDrain(),
        end: (socket) => this.#ended(socket),
        close: (socket, error) => this.#close(socket, error),
        error: (socket, error) => {
          if (socket.data !== undefined) socket.data.closeReason ??= error.message;
        },
      },
    };
    return Bun.listen(listen);
  }

  override stopListening(): void {
    this.accepting = false;
    void this.#listening.stopListening();
  }

  override terminate(): void {
    void this.#listening.terminate();
  }

  override subscribe(connection: SocketConnection, channel: string): void {
    let members = this.#channels.get(channel);
    if (members === undefined) {
      members = new Set();
      this.#channels.set(channel, members);
    }
    members.add(connection);
  }

  override unsubscribe(connection: SocketConnection, channel: string): void {
    const members = this.#channels.get(channel);
    if (members?.delete(connection) && members.size === 0) this.#channels.delete(channel);
  }

  override publish(channel: string, data: Payload): number {
    let failed = 0;
    for (const connection of this.#channels.get(channel) ?? []) {
      if (connection.send(data) !== undefined) failed++;
    }
    return failed;
  }

  #open(socket: ClientSocket): void {
    const { proxyProtocol, remoteAddress } = this.options;
    if (proxyProtocol && remoteAddress.trusts(plainAddress(socket.remoteAddress))) this.#greetings.begin(socket);
    else this.#connect(socket, socket.remoteAddress, socket.remotePort);
  }

  #connect(socket: ClientSocket, address: string, port: number): void {
    const remoteAddr = this.options.remoteAddress.of(address, port);
    if (!this.accepting || !this.admit(remoteAddr)) {
      socket.end();
      return;
    }
    const connection = new SocketConnection(this.ids.next(), remoteAddr, this, socket);
    socket.data = connection;
    this.opened(connection);
    this.receiving = connection;
    this.script.opened(connection);
    this.receiving = undefined;
    connection.writeOut();
  }

  #data(socket: ClientSocket, chunk: Buffer): void {
    const connection = socket.data;
    if (connection === undefined) {
      const greeted = this.#greetings.take(socket, chunk);
      if (greeted === undefined) return;
      this.#connect(socket, greeted.address, greeted.port);
      if (greeted.rest.length > 0) this.#data(socket, greeted.rest);
      return;
    }
    if (!connection.open) return;
    connection.lastRead = this.sweeper.now;
    connection.buffer.append(chunk);
    this.receiving = connection;
    this.script.received(connection);
    this.receiving = undefined;
    connection.writeOut();
    connection.checkWaiting();
  }

  /** The client sends no more: what it asked for is answered, then this side ends too. */
  #ended(socket: ClientSocket): void {
    const connection = socket.data;
    if (connection === undefined) {
      socket.end();
      return;
    }
    connection.onPeerEnd();
    this.end(connection);
  }

  #close(socket: ClientSocket, error: Error | undefined): void {
    const connection = socket.data;
    this.#greetings.end(socket);
    if (connection === undefined) return;
    if (error !== undefined && connection.open) connection.closeReason ??= error.message;
    socket.data = undefined;
    connection.detach();
    this.closed(connection);
  }
}
