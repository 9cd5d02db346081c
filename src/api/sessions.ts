import type { WebSocketHandler } from "bun";
import type { Log } from "../log.ts";
import type { Operations } from "../mesh/operations.ts";
import { ThrottledLog } from "../throttled-log.ts";
import type { Access, Grant } from "./access.ts";
import { type ApiSocket, Session, type SessionKeeper, type SessionLimits } from "./session.ts";

const SWEEP_MS = 500;
const ANSWER_POLL_MS = 5;
/** How long what clients still send is read after their connections were closed. */
const LINGER_MS = 500;
/** Bun's own limits are fixed once it listens, ours may change: its stand above, for frames that are far beyond any request. */
const HARD_READ_LIMIT = 16 * 1024 * 1024;
const HARD_WRITE_LIMIT = 2 ** 31 - 1;
/** Bun's reason for closing with 1009 by itself, which it tells us as 1006. */
const TOO_BIG = "Received too big message";

/** Plain counters, read when metrics are scraped. */
export interface ApiStats {
  clients: number;
  /** Requests on WebSockets, `ping` included. */
  requests: number;
  /** HTTP requests and upgrades refused with 401 or 403. */
  refused: number;
  slowClients: number;
  readTimeouts: number;
}

export interface SessionsOptions {
  operations: Operations;
  access: Access;
  limits: SessionLimits;
  stats: ApiStats;
  log: Log;
}

/** The open connections of the WebSocket API: their limits, their clock and their end. */
export class Sessions implements SessionKeeper {
  readonly handler: WebSocketHandler<Session>;
  /** Those of new connections. */
  limits: SessionLimits;
  readonly #options: SessionsOptions;
  readonly #open = new Set<Session>();
  readonly stats: ApiStats;
  readonly #log: ThrottledLog;
  #unwatch: () => void = () => {};
  #timer: Timer | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.stats = options.stats;
    this.#log = new ThrottledLog(options.log);
    this.handler = {
      maxPayloadLength: Math.max(options.limits.readBufferSize, HARD_READ_LIMIT),
      backpressureLimit: HARD_WRITE_LIMIT,
      // Bun would close without a code; a session sees to its own end.
      closeOnBackpressureLimit: false,
      // Bun's own time-out is coarse and answered by its own pings; the sweep below keeps the time.
      idleTimeout: 0,
      sendPings: false,
      open: (socket) => this.#opened(socket),
      message: (socket, data) => this.#message(socket, data),
      ping: (socket) => this.#heard(socket),
      pong: (socket) => this.#heard(socket),
      drain: (socket) => socket.data.drained(),
      close: (socket, code, reason) => this.#closed(socket, code, reason),
    };
  }

  start(): void {
    this.#unwatch = this.#options.access.watch(() => this.#recheck());
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** The state of a connection that is about to be upgraded. */
  session(address: string, grant: Grant): Session {
    const { operations } = this.#options;
    return new Session(operations, address, grant, this.limits, this);
  }

  slow(session: Session, reason: string): void {
    if (!this.#open.has(session)) return;
    this.stats.slowClients++;
    this.#log.warn("slow", `api client ${session.address} is too slow and is closed with 1013: ${reason}`);
    session.close(1013, "too slow: try again later");
  }

  /** Closes every connection with 1001, each once its requests are answered, or after `timeoutMs`. */
  async stop(timeoutMs: number): Promise<void> {
    this.#unwatch();
    clearInterval(this.#timer);
    if (this.#open.size === 0) return;
    const deadline = performance.now() + timeoutMs;
    while (this.#open.size > 0) {
      for (const session of [...this.#open]) {
        if (session.answering && performance.now() < deadline) continue;
        session.close(1001, "the engine is stopping");
      }
      if (this.#open.size > 0) await Bun.sleep(ANSWER_POLL_MS);
    }
    // A socket that is destroyed with bytes unread resets its connection, and the client loses what it has not read yet.
    await Bun.sleep(LINGER_MS);
  }

  #opened(socket: ApiSocket): void {
    const session = socket.data;
    session.opened(socket);
    this.#open.add(session);
    this.stats.clients++;
    // The users may have changed between the check of the upgrade request and now.
    this.#recheckOne(session);
  }

  #message(socket: ApiSocket, data: string | Buffer): void {
    const session = socket.data;
    session.lastRead = performance.now();
    session.received(data);
  }

  #heard(socket: ApiSocket): void {
    socket.data.lastRead = performance.now();
  }

  #closed(socket: ApiSocket, code: number, reason: string): void {
    const session = socket.data;
    if (!this.#open.delete(session)) return;
    this.stats.clients--;
    session.closed();
    // What Bun ends by itself (a message too large, a frame against the protocol) has a reason that starts so.
    if (code !== 1009 && !reason.startsWith("Received ")) return;
    const expected = reason === TOO_BIG ? `; a request may have ${session.limits.readBufferSize} bytes` : "";
    this.#log.warn("closed", `api client ${session.address} closed (${code}): ${reason}${expected}`);
  }

  #sweep(): void {
    const now = performance.now();
    for (const session of this.#open) {
      const { readTimeout, writeTimeout } = session.limits;
      if (readTimeout > 0 && now - session.lastRead > readTimeout * 1000) {
        this.stats.readTimeouts++;
        session.close(1001, `nothing was received for ${readTimeout} seconds: send a ping now and then`);
      } else if (writeTimeout > 0 && session.blockedSince > 0 && now - session.blockedSince > writeTimeout * 1000) {
        this.slow(
          session,
          `it took nothing for ${writeTimeout} seconds (writeTimeout), ${session.bufferedBytes()} bytes wait`,
        );
      }
    }
  }

  #recheck(): void {
    for (const session of [...this.#open]) this.#recheckOne(session);
  }

  #recheckOne(session: Session): void {
    const grant = this.#options.access.renew(session.grant, session.address);
    if (grant !== undefined) {
      session.grant = grant;
      return;
    }
    this.#options.log.info(`api client ${session.address} is closed with 1008: access.users no longer lets it in`);
    session.close(1008, "the access rules have changed");
  }
}
