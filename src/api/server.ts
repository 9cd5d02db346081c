import type { Server } from "bun";
import { messageOf, UserError } from "../errors.ts";
import type { Certificate, CertificatePair } from "../listen/certificate.ts";
import { ListeningPort } from "../listen/listening-port.ts";
import type { RemoteAddress } from "../listen/remote-address.ts";
import { pathOf } from "../listen/request-target.ts";
import type { Log } from "../log.ts";
import type { Operations } from "../mesh/operations.ts";
import { ThrottledLog } from "../throttled-log.ts";
import type { Access, Grant, Refusal } from "./access.ts";
import { httpError, type Route, Router } from "./http.ts";
import { type NodeStatus, nodeRoutes } from "./node-routes.ts";
import { operationRoutes } from "./operation-routes.ts";
import { type AllowedOrigins, corsHeaders, originRefusal } from "./origin.ts";
import type { Session, SessionLimits } from "./session.ts";
import { type ApiStats, Sessions } from "./sessions.ts";

export const WEBSOCKET_PATH = "/ws/v1";

/** Seconds an HTTP connection may idle: at least what a slow peer engine may take to answer, at most what Bun knows. */
const MIN_IDLE_TIMEOUT = 10;
const MAX_IDLE_TIMEOUT = 255;
const THROUGH_PROXY =
  "no users are configured, so only clients on this machine are let in, and this request came through a proxy: add a user under access.users, or name the proxy in apiServer.trustedProxies";
const CHALLENGE = 'Basic realm="connmix", charset="UTF-8"';
/** How long `stop` waits for clients to answer the close, in milliseconds. */
const CLOSE_MS = 1000;

export interface ApiServerOptions {
  /** What the log calls it: `api server` or `center api server`. */
  name: string;
  /** 0 for any free port. */
  port: number;
  bind: string;
  /** Shares the port with sibling processes. */
  reusePort: boolean;
  certificate?: Certificate | undefined;
  remoteAddress: RemoteAddress;
  limits: SessionLimits;
  access: Access;
  /** Web pages of other origins that may use the API. */
  allowedOrigins: AllowedOrigins;
  status: NodeStatus;
  /** What the API acts on; the center has none, and serves only its status. */
  operations?: Operations | undefined;
  /** Further routes, such as the console's. */
  extraRoutes?: readonly Route[];
  log: Log;
}

/** The API server of an engine, or the status server of a center: HTTP and, with operations, the WebSocket at `/ws/v1`. */
export class ApiServer {
  readonly stats: ApiStats = { clients: 0, requests: 0, refused: 0, slowClients: 0, readTimeouts: 0 };
  readonly #options: ApiServerOptions;
  readonly #router: Router;
  readonly #sessions: Sessions | undefined;
  readonly #log: ThrottledLog;
  #limits: SessionLimits;
  #listening: ListeningPort<Server<Session>> | undefined;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    const { operations, limits, status, extraRoutes = [], log } = options;
    this.#log = new ThrottledLog(log);
    this.#limits = limits;
    const operationList =
      operations === undefined ? [] : operationRoutes(operations, () => this.#limits.readBufferSize);
    this.#router = new Router(
      [...operationList, ...nodeRoutes(status), ...extraRoutes],
      operations === undefined ? [] : [`WebSocket ${WEBSOCKET_PATH}`],
    );
    this.#sessions = operations && new Sessions({ ...options, operations, stats: this.stats });
  }

  /** The limits of new connections and of HTTP bodies. */
  set limits(limits: SessionLimits) {
    this.#limits = limits;
    if (this.#sessions !== undefined) this.#sessions.limits = limits;
  }

  /** Listens; resolves with the port. Rejects with a `UserError` when the port cannot be had. */
  async start(): Promise<number> {
    const { name, port, bind, certificate, access, log } = this.#options;
    const listening = new ListeningPort((port, pair) => this.#listen(port, pair), certificate);
    let actual: number;
    try {
      actual = listening.listen(port);
    } catch (thrown) {
      throw listenError(name, bind, port, thrown);
    }
    this.#listening = listening;
    this.#sessions?.start();
    log.info(`start the ${name} (${bind}:${actual})`);
    if (access.protectedMode) {
      log.warn(`the ${name} lets in only clients on this machine: no users are configured (access.users)`);
    }
    return actual;
  }

  /** Stops listening and closes WebSockets with 1001; takes no longer than about four seconds. */
  async stop(): Promise<void> {
    const listening = this.#listening;
    if (listening === undefined) return;
    this.#listening = undefined;
    // First, or a client that was closed would come back and take messages that go down with it.
    const stopped = listening.stopListening();
    await this.#sessions?.stop(CLOSE_MS);
    // A stop that waits for its connections may never end; what is left after the wait is cut.
    await Promise.race([stopped, Bun.sleep(CLOSE_MS)]);
    await Promise.race([listening.terminate(), Bun.sleep(CLOSE_MS)]);
  }

  #listen(port: number, pair: CertificatePair | undefined): Server<Session> {
    const { name, bind, reusePort, limits, log } = this.#options;
    return Bun.serve<Session>({
      port,
      hostname: bind,
      reusePort,
      idleTimeout: idleTimeout(limits.readTimeout),
      // Bun answers longer bodies with an empty 413; below, `readBody` says what the limit is.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      ...(pair && { tls: pair }),
      fetch: (request, server) => this.#fetch(request, server),
      error: (error) => {
        log.error(`${name}: ${error.stack ?? error.message}`);
        return httpError(500, "internal error: see the log of this node");
      },
      websocket: this.#sessions?.handler ?? { message() {} },
    });
  }

  #fetch(request: Request, server: Server<Session>): Response | undefined | Promise<Response> {
    const cors = corsHeaders(request.headers, this.#options.allowedOrigins);
    if (cors === undefined) return this.#respond(request, server);
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: cors });
    const response = this.#respond(request, server);
    return response === undefined ? undefined : withHeaders(response, cors);
  }

  #respond(request: Request, server: Server<Session>): Response | undefined | Promise<Response> {
    const path = pathOf(request.url);
    const upgrade = this.#sessions !== undefined && path === WEBSOCKET_PATH;
    const routes = this.#router.at(path);
    const route = routes.find(
      ({ method }) => method === request.method || (method === "GET" && request.method === "HEAD"),
    );
    if (route?.role === "open") return route.handle(request, undefined);

    const peer = server.requestIP(request)?.address ?? "";
    const address = this.#options.remoteAddress.address(peer, request.headers);
    const grant = this.#admit(request.headers, peer, address);
    if (grant instanceof Response) return grant;
    if (upgrade) return this.#upgrade(request, server, address, grant);
    if (routes.length === 0) return this.#router.notFound(path);
    if (route === undefined) {
      const allow = routes.map(({ method }) => method).join(", ");
      return httpError(405, `${path} is for ${allow}, found ${request.method}`, { allow });
    }
    if (!grant[route.role]) {
      return httpError(403, `${path} needs the role ${route.role}, which this user does not have`);
    }
    return route.handle(request, grant);
  }

  /** What the caller may do, or the response that says why it may do nothing. */
  #admit(headers: Headers, peer: string, address: string): Grant | Response {
    const { access, allowedOrigins, remoteAddress } = this.#options;
    // Through a proxy on this machine everybody would seem to be on this machine.
    if (access.protectedMode && remoteAddress.hidden(peer, headers)) {
      return this.#refuse(address, { status: 403, message: THROUGH_PROXY });
    }
    const grant = access.check(address, headers.get("authorization"));
    if ("status" in grant) return this.#refuse(address, grant);
    const message = originRefusal(headers, allowedOrigins, access.protectedMode);
    return message === undefined ? grant : this.#refuse(address, { status: 403, message });
  }

  #refuse(address: string, { status, message }: Refusal): Response {
    this.stats.refused++;
    // Every browser asks without credentials first: that is not worth a line.
    if (status === 403) this.#log.warn("refused", `api client ${address} refused: ${message}`);
    return httpError(status, message, status === 401 ? { "www-authenticate": CHALLENGE } : undefined);
  }

  #upgrade(request: Request, server: Server<Session>, address: string, grant: Grant): Response | undefined {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return httpError(426, `${WEBSOCKET_PATH} speaks WebSocket only: connect with ws://`, {
        upgrade: "websocket",
        connection: "Upgrade",
      });
    }
    const session = this.#sessions?.session(address, grant);
    if (session !== undefined && server.upgrade(request, { data: session })) return undefined;
    return httpError(400, "not a WebSocket upgrade: expected Sec-WebSocket-Key and Sec-WebSocket-Version: 13");
  }
}

function idleTimeout(readTimeout: number): number {
  return readTimeout === 0 ? 0 : Math.min(Math.max(Math.ceil(readTimeout), MIN_IDLE_TIMEOUT), MAX_IDLE_TIMEOUT);
}

async function withHeaders(response: Response | Promise<Response>, headers: Record<string, string>): Promise<Response> {
  const given = await response;
  for (const [name, value] of Object.entries(headers)) given.headers.set(name, value);
  return given;
}

function listenError(name: string, bind: string, port: number, thrown: unknown): UserError {
  const { code } = thrown as { code?: string };
  const reason =
    code === "EADDRINUSE"
      ? "the port is in use by another process: stop that one or set another port (apiServer.port)"
      : code === "EACCES"
        ? "permission denied: ports below 1024 need privileges"
        : messageOf(thrown);
  return new UserError(`cannot start the ${name} on ${bind}:${port}: ${reason}`);
}
