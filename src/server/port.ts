import type { ClientIds } from "../client-id.ts";
import { UserError } from "../errors.ts";
import type { Payload } from "../hub/connection.ts";
import type { Fanout, Hub } from "../hub/hub.ts";
import type { Certificate } from "../listen/certificate.ts";
import type { RemoteAddress } from "../listen/remote-address.ts";
import type { Log } from "../log.ts";
import type { Script } from "../lua/script.ts";
import type { ThrottledLog } from "../throttled-log.ts";
import { writeLater } from "../turn.ts";
import type { ServerConnection } from "./server-connection.ts";
import type { Sweeper } from "./sweeper.ts";

/** Bounds on one connection. Times in seconds, 0 for none; sizes in bytes. May be replaced while running. */
export interface Limits {
  readTimeout: number;
  writeTimeout: number;
  /** Largest message or packet. */
  readBufferSize: number;
  /** Most bytes that may wait for a slow client. */
  writeBufferSize: number;
  maxConnections: number;
}

export interface PortOptions {
  port: number;
  bind: string;
  /** Shares the port with sibling processes. */
  reusePort: boolean;
  certificate: Certificate | undefined;
  remoteAddress: RemoteAddress;
  /** Connections of trusted proxies begin with a PROXY header. */
  proxyProtocol: boolean;
  limits: Limits;
}

/** What a server port needs from its engine. */
export interface PortParts {
  hub: Hub;
  ids: ClientIds;
  script: Script;
  sweeper: Sweeper;
  throttled: ThrottledLog;
  log: Log;
}

/** Plain counters, read when metrics are scraped. */
export interface PortStats {
  accepted: number;
  refused: number;
  readMessages: number;
  sentMessages: number;
  sendErrors: number;
  tooLarge: number;
  protocolErrors: number;
  slowClients: number;
  readTimeouts: number;
}

/** Connections closed in each step of a drain, so that a crowd does not come back to the other engines in one instant. */
const DRAIN_STEP_MS = 20;

/** One listening port with its script: what the WebSocket and the socket server share. */
export abstract class Port implements Fanout {
  readonly stats: PortStats = {
    accepted: 0,
    refused: 0,
    readMessages: 0,
    sentMessages: 0,
    sendErrors: 0,
    tooLarge: 0,
    protocolErrors: 0,
    slowClients: 0,
    readTimeouts: 0,
  };
  readonly hub: Hub;
  readonly script: Script;
  readonly sweeper: Sweeper;
  readonly throttled: ThrottledLog;
  readonly log: Log;
  limits: Limits;
  /** Clients are let in once the engine has its node number, and no more once it drains. */
  accepting = false;
  protected readonly ids: ClientIds;
  /** The client whose bytes are being worked on: what is sent to it meanwhile is written right after that. */
  receiving: ServerConnection | undefined = undefined;
  /** Clients with gathered messages. */
  #gathering: ServerConnection[] = [];
  #clients = 0;
  #drained: (() => void) | undefined;

  abstract readonly protocol: "websocket" | "socket";

  constructor(
    protected readonly options: PortOptions,
    parts: PortParts,
  ) {
    this.hub = parts.hub;
    this.ids = parts.ids;
    this.script = parts.script;
    this.sweeper = parts.sweeper;
    this.throttled = parts.throttled;
    this.log = parts.log;
    this.limits = options.limits;
    this.script.onClosed = (connection) => {
      // While draining, on_close runs first and may still send: the close follows it.
      connection.close(1001, "going away");
    };
  }

  /** Takes over new bounds, for open connections as well. */
  setLimits(limits: Limits): void {
    this.limits = limits;
  }

  get clients(): number {
    return this.#clients;
  }

  /** A connection begins to gather: has it written out at the end of the turn. */
  gathers(connection: ServerConnection): void {
    if (connection === this.receiving) return;
    if (this.#gathering.push(connection) === 1) writeLater(this.writeGathered);
  }

  protected readonly writeGathered = (): void => {
    const gathering = this.#gathering;
    if (gathering.length === 0) return;
    this.#gathering = [];
    for (const connection of gathering) connection.writeOut();
  };

  abstract subscribe(connection: ServerConnection, channel: string): void;
  abstract unsubscribe(connection: ServerConnection, channel: string): void;
  abstract publish(channel: string, data: Payload, subscribers: number): number;

  /**
   * Takes the port and returns it (a configured 0 takes any free one); clients are turned away until `accepting`. Throws a
   * `UserError` when the port cannot be had.
   */
  abstract listen(): number;

  /** Gives the port back; connections stay. */
  abstract stopListening(): void;

  /** Ends what is left, at once. */
  abstract terminate(): void;

  /** False when `maxConnections` is reached: the caller turns the client away. */
  protected admit(remoteAddr: string): boolean {
    if (this.#clients < this.limits.maxConnections) return true;
    this.stats.refused++;
    this.throttled.warn(
      "connection refused",
      `client ${remoteAddr} turned away with 1013: ${this.#clients} connections are open (maxConnections)`,
    );
    return false;
  }

  protected opened(connection: ServerConnection): void {
    this.#clients++;
    this.stats.accepted++;
    this.hub.add(connection);
  }

  /** The one way out: every connection that was opened passes here exactly once, whatever ended it. */
  protected closed(connection: ServerConnection): void {
    connection.open = false;
    this.hub.remove(connection);
    this.#clients--;
    this.end(connection);
    if (this.#clients === 0) this.#drained?.();
  }

  /**
   * Runs `on_close` for every connection, closes it with 1001 after that, and resolves when all are gone. The closes are
   * spread over up to `spreadMs`.
   */
  async drain(spreadMs: number): Promise<void> {
    const all = [...this.hub.connections()].filter((connection) => connection.fanout === this) as ServerConnection[];
    const steps = Math.max(1, Math.floor(Math.min(spreadMs, all.length) / DRAIN_STEP_MS));
    const step = Math.ceil(all.length / steps);
    for (let at = 0; at < all.length; at += step) {
      for (const connection of all.slice(at, at + step)) this.end(connection);
      if (at + step < all.length) await Bun.sleep(DRAIN_STEP_MS);
    }
    if (this.#clients > 0)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
  }

  /** Lets the script finish what the client has asked for, `on_close` last; the transport is closed after that if it still stands. */
  protected end(connection: ServerConnection): void {
    if (connection.ending) return;
    connection.ending = true;
    this.script.closed(connection);
  }
}

/** The error for a port that cannot be listened on: what is in the way and what to do. */
export function listenError(what: string, bind: string, port: number, thrown: unknown): UserError {
  const code = (thrown as { code?: string }).code ?? "";
  const reason =
    code === "EADDRINUSE"
      ? "the port is in use by another process: stop that one or set another port"
      : code === "EACCES"
        ? "permission denied: ports below 1024 need privileges"
        : String((thrown as Error).message ?? thrown);
  return new UserError(`cannot start ${what} on ${bind}:${port}: ${reason}`);
}
