import type { Server, ServerWebSocket } from "bun";
import type { Failure, Payload } from "../hub/connection.ts";
import type { CertificatePair } from "../listen/certificate.ts";
import { ListeningPort } from "../listen/listening-port.ts";
import { pathOf } from "../listen/request-target.ts";
import type { Handshake } from "../lua/script.ts";
import { type Limits, listenError, Port, type PortOptions, type PortParts } from "./port.ts";
import { ProxyFront } from "./proxy-front.ts";
import { ProxyGreetings } from "./proxy-greetings.ts";
import { CLOSING, ServerConnection } from "./server-connection.ts";
import { UpgradeHandshake } from "./upgrade-handshake.ts";

/** A client turned away right after its upgrade, with a close code it can read. */
const REFUSED = "refused";
type SocketData = WebSocketConnection | typeof REFUSED;
type Socket = ServerWebSocket<SocketData>;

/**
 * Bun's own limit stands above ours, which closes with a code and a log line; it only bounds what a burst of publishes can
 * pile up between two looks of the sweeper.
 */
const HARD_LIMIT_FACTOR = 2;

/** Seconds that a slow client behind a front is left for this side to notice, log and close it. */
const FRONT_GRACE = 10;

export class WebSocketConnection extends ServerConnection {
  socket: Socket | undefined = undefined;
  /** Only between the upgrade and `on_handshake`. */
  handshake: Handshake | undefined;

  constructor(id: number, remoteAddr: string, port: WebSocketPort, handshake: Handshake) {
    super(id, remoteAddr, port);
    this.handshake = handshake;
  }

  override write(data: Payload): Failure {
    const { socket, port } = this;
    if (!this.open || socket === undefined) return CLOSING;
    // Bun itself gathers what a handler sends to its own client.
    if (port.receiving === this) return this.writeOut() ?? this.#hand(socket, data);
    return this.gather(data);
  }

  protected override put(payloads: readonly Payload[]): Failure {
    const { socket } = this;
    if (socket === undefined) {
      this.port.stats.sendErrors += payloads.length;
      return CLOSING;
    }
    if (payloads.length === 1) return this.#hand(socket, payloads[0]!);
    let failure: Failure;
    socket.cork(() => {
      for (const data of payloads) {
        // One of them may have been too much for the client.
        if (!this.open) this.port.stats.sendErrors++;
        else failure = this.#hand(socket, data) ?? failure;
      }
    });
    if (this.open && socket.getBufferedAmount() > 0) this.pressed();
    return failure;
  }

  #hand(socket: Socket, data: Payload): Failure {
    const { stats } = this.port;
    const sent = typeof data === "string" ? socket.sendText(data) : socket.sendBinary(data);
    if (sent > 0 || data.length === 0) {
      stats.sentMessages++;
      return undefined;
    }
    this.pressed();
    if (sent < 0) {
      stats.sentMessages++;
      return undefined;
    }
    stats.sendErrors++;
    return "the client is too slow: the message was dropped and the connection is being closed";
  }

  override send(data: Payload): Failure {
    return this.write(data);
  }

  override waitingBytes(): number {
    return this.socket?.getBufferedAmount() ?? 0;
  }

  protected override finish(code: number, reason: string): void {
    this.socket?.close(code, reason);
  }

  protected override terminate(): void {
    this.socket?.terminate();
  }

  /** Called by the server when Bun says the client took bytes. */
  onDrain(): void {
    this.drained();
  }

  /** A publish found this client beyond Bun's limit, which cuts it off: accounts for it before that happens. */
  onOverflow(): void {
    this.pressed();
  }
}

export interface WebSocketOptions extends PortOptions {
  /** The only URL path served; any when undefined. */
  path: string | undefined;
}

/** A port that speaks WebSocket by `Bun.serve`. */
export class WebSocketPort extends Port {
  readonly protocol = "websocket";
  readonly #listening: ListeningPort<Server<SocketData>>;
  readonly #front: ProxyFront | undefined;

  constructor(
    protected override readonly options: WebSocketOptions,
    parts: PortParts,
  ) {
    super(options, parts);
    this.#listening = new ListeningPort(
      (port, pair) => Bun.serve<SocketData>(this.#serveOptions(port, pair)),
      options.certificate,
    );
    this.#front = options.proxyProtocol
      ? new ProxyFront({
          ...options,
          greetings: new ProxyGreetings(this.stats, this.throttled),
          stallTimeout: () => this.limits.writeTimeout && this.limits.writeTimeout + FRONT_GRACE,
        })
      : undefined;
  }

  override listen(): number {
    const { port, bind } = this.options;
    try {
      if (this.#front === undefined) return this.#listening.listen(port);
      return this.#front.listen(port, this.#listening.listen(0));
    } catch (thrown) {
      throw listenError("the protocol server", bind, port, thrown);
    }
  }

  override setLimits(limits: Limits): void {
    super.setLimits(limits);
    // Bun takes over the new bounds, for open connections as well.
    for (const server of this.#listening.listeners) server.reload(this.#serveOptions(server.port, undefined));
  }

  #serveOptions(port: number | undefined, pair: CertificatePair | undefined): Bun.Serve.Options<SocketData> {
    const { options, limits } = this;
    return {
      port,
      hostname: this.#front === undefined ? options.bind : "127.0.0.1",
      reusePort: options.reusePort && this.#front === undefined,
      // Seconds an HTTP connection may idle before its upgrade; afterwards the sweeper keeps the time.
      idleTimeout: 10,
      maxRequestBodySize: 1024,
      ...(pair && { tls: pair }),
      fetch: (request, server) => this.#upgrade(request, server),
      error: (error) => {
        this.log.error(`websocket upgrade: ${error.message}`);
        return new Response("internal error\n", { status: 500 });
      },
      websocket: {
        maxPayloadLength: limits.readBufferSize,
        backpressureLimit: limits.writeBufferSize * HARD_LIMIT_FACTOR,
        closeOnBackpressureLimit: true,
        idleTimeout: 0,
        // A ping by the server would be answered by every browser and so keep silent clients alive for ever.
        sendPings: false,
        perMessageDeflate: false,
        open: (socket) => this.#open(socket),
        message: (socket, data) => this.#message(socket, data),
        ping: (socket) => this.#heard(socket),
        pong: (socket) => this.#heard(socket),
        drain: (socket) => {
          if (socket.data !== REFUSED) socket.data.onDrain();
        },
        close: (socket, code, reason) => this.#close(socket, code, reason),
      },
    };
  }

  override stopListening(): void {
    this.accepting = false;
    this.#front?.stopListening();
    void this.#listening.stopListening();
  }

  override async drain(spreadMs: number): Promise<void> {
    await super.drain(spreadMs);
    await this.#front?.emptied();
  }

  override terminate(): void {
    this.#front?.terminate();
    void this.#listening.terminate();
  }

  override subscribe(connection: WebSocketConnection, channel: string): void {
    connection.socket?.subscribe(channel);
  }

  override unsubscribe(connection: WebSocketConnection, channel: string): void {
    connection.socket?.unsubscribe(channel);
  }

  override publish(channel: string, data: Payload, subscribers: number): number {
    const { listeners } = this.#listening;
    // What was sent before stays before.
    this.writeGathered();
    let failed = 0;
    for (const server of listeners) {
      // Bun answers 0 for a channel without subscribers as well: only after a change of certificate are there such servers.
      if (listeners.length > 1 && server.subscriberCount(channel) === 0) continue;
      const result = server.publish(channel, data);
      if (result > 0 || data.length === 0) continue;
      // -1: some subscriber has bytes waiting; 0: some subscriber was beyond Bun's limit and got nothing.
      this.sweeper.pressure();
      if (result === 0) failed = this.#overLimit(channel);
    }
    this.stats.sentMessages += subscribers - failed;
    this.stats.sendErrors += failed;
    return failed;
  }

  /** How many subscribers Bun has just given up on. A scan of all, but only while some client is being cut off. */
  #overLimit(channel: string): number {
    const limit = this.limits.writeBufferSize * HARD_LIMIT_FACTOR;
    let count = 0;
    for (const connection of this.hub.connections()) {
      if (!(connection instanceof WebSocketConnection) || connection.fanout !== this) continue;
      if (!connection.channels?.has(channel) || connection.waitingBytes() <= limit) continue;
      connection.onOverflow();
      count++;
    }
    return count;
  }

  #upgrade(request: Request, server: Server<SocketData>): Response | undefined {
    if (!this.accepting) return new Response("starting or draining: try again\n", { status: 503 });
    const { path } = this.options;
    const asked = pathOf(request.url);
    if (path !== undefined && asked !== path) {
      return new Response(`nothing is served at ${asked}, expected ${path}\n`, { status: 404 });
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return new Response("this port speaks WebSocket only: connect with ws://\n", {
        status: 426,
        headers: { Upgrade: "websocket", Connection: "Upgrade" },
      });
    }
    const peer = this.#peerOf(request, server);
    if (peer === undefined) return new Response("connect to the public port\n", { status: 403 });
    const remoteAddr = this.options.remoteAddress.of(peer.address, peer.port, request.headers);
    let data: SocketData = REFUSED;
    if (this.admit(remoteAddr)) {
      data = new WebSocketConnection(this.ids.next(), remoteAddr, this, new UpgradeHandshake(request, remoteAddr));
    }
    if (server.upgrade(request, { data })) return undefined;
    this.stats.protocolErrors++;
    return new Response("not a WebSocket upgrade: expected Sec-WebSocket-Key and Sec-WebSocket-Version: 13\n", {
      status: 400,
    });
  }

  /** The other end of the connection; undefined when it did not come by way of the front there is. */
  #peerOf(request: Request, server: Server<SocketData>): { address: string; port: number } | undefined {
    const peer = server.requestIP(request) ?? { address: "", port: 0 };
    return this.#front === undefined ? peer : this.#front.clientAt(peer.port);
  }

  #open(socket: Socket): void {
    const connection = socket.data;
    if (connection === REFUSED) {
      socket.close(1013, "too many connections: try again later");
      return;
    }
    connection.socket = socket;
    connection.lastRead = this.sweeper.now;
    const { handshake } = connection;
    connection.handshake = undefined;
    this.opened(connection);
    this.receiving = connection;
    this.script.opened(connection, handshake);
    this.receiving = undefined;
  }

  #message(socket: Socket, data: string | Buffer): void {
    const connection = socket.data;
    // After a close began, what the client still sends is not looked at (RFC 6455 section 1.4).
    if (connection === REFUSED || !connection.open) return;
    connection.lastRead = this.sweeper.now;
    this.stats.readMessages++;
    this.receiving = connection;
    this.script.message(connection, data);
    this.receiving = undefined;
  }

  #heard(socket: Socket): void {
    if (socket.data !== REFUSED) socket.data.lastRead = this.sweeper.now;
  }

  #close(socket: Socket, code: number, reason: string): void {
    const connection = socket.data;
    if (connection === REFUSED) return;
    if (connection.open && code !== 1000 && code !== 1001 && code !== 1005) {
      connection.closeReason ??= this.#abnormal(connection, code, reason);
    }
    connection.socket = undefined;
    this.closed(connection);
  }

  /** Bun closes for protocol violations by itself and tells them by the reason; here they get their counter and log line. */
  #abnormal(connection: WebSocketConnection, code: number, reason: string): string {
    const who = `client ${connection.id} (${connection.remoteAddr})`;
    if (reason === "Received too big message") {
      this.stats.tooLarge++;
      this.throttled.warn(
        "message too large",
        `${who} closed with 1009: a message larger than readBufferSize (${this.limits.readBufferSize} bytes)`,
      );
      return `message larger than ${this.limits.readBufferSize} bytes`;
    }
    if (reason.startsWith("Received ")) {
      this.stats.protocolErrors++;
      this.throttled.warn("protocol error", `${who} closed: ${reason.toLowerCase()}`);
      return reason.toLowerCase();
    }
    return reason === "" ? `connection lost (${code})` : `${code} ${reason}`;
  }
}
