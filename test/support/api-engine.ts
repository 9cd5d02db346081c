import { expect } from "bun:test";
import { Access, type User } from "../../src/api/access.ts";
import type { AllowedOrigins } from "../../src/api/origin.ts";
import { ApiServer } from "../../src/api/server.ts";
import type { SessionLimits } from "../../src/api/session.ts";
import { ClientIds } from "../../src/client-id.ts";
import type { Connection } from "../../src/hub/connection.ts";
import { Hub } from "../../src/hub/hub.ts";
import { Queues } from "../../src/hub/queue.ts";
import { RemoteAddress } from "../../src/listen/remote-address.ts";
import type { Log } from "../../src/log.ts";
import type { Script, ScriptStats } from "../../src/lua/script.ts";
import { Mesh } from "../../src/mesh/mesh.ts";
import type { Operations } from "../../src/mesh/operations.ts";
import type { NodeRecord } from "../../src/registry/registry.ts";
import { Sweeper } from "../../src/server/sweeper.ts";
import { WebSocketPort } from "../../src/server/websocket.ts";
import { ThrottledLog } from "../../src/throttled-log.ts";
import { TestSocket } from "./websocket.ts";

const LIMITS: SessionLimits = {
  readTimeout: 60,
  writeTimeout: 60,
  readBufferSize: 1024 * 1024,
  writeBufferSize: 16 * 1024 * 1024,
};

export interface ApiEngineOptions {
  limits?: Partial<SessionLimits>;
  users?: User[];
  allowedOrigins?: AllowedOrigins;
  trustedProxies?: string[];
  ready?: () => string | undefined;
  port?: number;
  /** Stands between the API and the mesh, to make an answer late. */
  operations?: (mesh: Mesh) => Operations;
}

/** What the entry script of the walk-through does, without Lua: messages go to the topic `foo` as they are. */
class PushingScript implements Script {
  readonly stats: ScriptStats = {
    callbacks: {},
    reloads: 0,
    reloadErrors: 0,
    lastReloadError: "",
    mailboxOverflows: 0,
    suspended: 0,
  };
  onClosed: (connection: Connection) => void = () => {};
  /** Ids of the connected clients in the order they came. */
  readonly clients: number[] = [];

  constructor(readonly mesh: Mesh) {}

  opened(connection: Connection): void {
    this.clients.push(connection.id);
  }
  message(connection: Connection, data: string | Uint8Array): void {
    this.mesh.push(connection.id, "foo", JSON.stringify({ msg: String(data) }));
  }
  received(): void {}
  encode(): { error: string } {
    return { error: "no socket servers here" };
  }
  closed(connection: Connection): void {
    this.onClosed(connection);
  }
  async stop(): Promise<void> {}
}

/** One engine's API server, mesh and client port on real sockets, in this process and without Lua. */
export class ApiEngine {
  readonly hub = new Hub();
  readonly queues: Queues;
  readonly mesh: Mesh;
  readonly access: Access;
  readonly api: ApiServer;
  readonly log: string[] = [];
  port = 0;
  readonly #script: PushingScript;
  readonly #server: WebSocketPort;
  readonly #sweeper: Sweeper;
  #serverPort = 0;

  static async start(options: ApiEngineOptions = {}): Promise<ApiEngine> {
    const engine = new ApiEngine(options);
    engine.port = await engine.api.start();
    return engine;
  }

  private constructor(options: ApiEngineOptions) {
    const note = (message: string) => void this.log.push(message);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    const record: NodeRecord = {
      id: "engine0000",
      number: 7,
      host: "127.0.0.1",
      meshPort: 1,
      apiPort: 2,
      version: "1.2.3",
      startedAt: 1_700_000_000_000,
      servers: [{ protocol: "websocket", port: 3 }],
    };
    this.queues = new Queues({ topicSize: 2000, maxTopics: 100, maxBytes: 1_000_000_000 });
    this.mesh = new Mesh({
      hub: this.hub,
      queues: this.queues,
      log,
      nodeId: record.id,
      clusterName: "test",
      version: record.version,
      bind: "127.0.0.1",
      port: 0,
    });
    this.mesh.start(record);
    this.access = new Access(options.users ?? []);
    this.api = new ApiServer({
      name: "api server",
      port: options.port ?? 0,
      bind: "127.0.0.1",
      reusePort: false,
      remoteAddress: new RemoteAddress(options.trustedProxies ?? []),
      limits: { ...LIMITS, ...options.limits },
      access: this.access,
      allowedOrigins: options.allowedOrigins ?? [],
      status: {
        version: record.version,
        nodes: () => [record],
        metrics: async () => "connmix_test 1\n",
        ready: options.ready ?? (() => undefined),
      },
      operations: options.operations?.(this.mesh) ?? this.mesh,
      log,
    });
    this.#script = new PushingScript(this.mesh);
    this.#sweeper = new Sweeper(this.hub);
    this.#server = new WebSocketPort(
      {
        port: 0,
        bind: "127.0.0.1",
        reusePort: false,
        certificate: undefined,
        proxyProtocol: false,
        limits: { ...LIMITS, maxConnections: 1000 },
        path: undefined,
        remoteAddress: new RemoteAddress([]),
      },
      {
        hub: this.hub,
        ids: new ClientIds(record.number),
        script: this.#script,
        sweeper: this.#sweeper,
        throttled: new ThrottledLog(log),
        log,
      },
    );
    this.#serverPort = this.#server.listen();
    this.#server.accepting = true;
  }

  get wsUrl(): string {
    return `ws://127.0.0.1:${this.port}/ws/v1`;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** A backend on the WebSocket API. */
  backend(headers?: Record<string, string>): Promise<TestSocket> {
    return TestSocket.connect(this.wsUrl, headers);
  }

  /** A client and its id. */
  async client(): Promise<{ socket: TestSocket; id: number }> {
    const count = this.#script.clients.length;
    const socket = await TestSocket.connect(`ws://127.0.0.1:${this.#serverPort}`);
    while (this.#script.clients.length === count) await Bun.sleep(1);
    return { socket, id: this.#script.clients[count]! };
  }

  async post(path: string, body: string): Promise<{ status: number; text: string }> {
    const response = await fetch(this.url(path), { method: "POST", body });
    return { status: response.status, text: await response.text() };
  }

  async stop(): Promise<void> {
    await this.api.stop();
    this.#server.stopListening();
    this.#server.terminate();
    this.#sweeper.stop();
    await this.mesh.stop();
  }
}

/** What is wrong with a request, which must fail: the code and the message of its reply. */
export async function failure(socket: TestSocket, request: string): Promise<{ code: number; message: string }> {
  const reply = await socket.ask(request);
  const { error, id, ...rest } = JSON.parse(reply);
  expect(rest).toEqual({});
  expect(reply).toBe(JSON.stringify({ error: { code: error.code, message: error.message }, id }));
  return error;
}
