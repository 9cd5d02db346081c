import { ClientIds } from "../../src/client-id.ts";
import { Connection, type Failure, type Payload } from "../../src/hub/connection.ts";
import { type Fanout, Hub } from "../../src/hub/hub.ts";
import { type QueueLimits, Queues } from "../../src/hub/queue.ts";
import { Mesh, type MeshOptions } from "../../src/mesh/mesh.ts";
import type { NodeRecord } from "../../src/registry/registry.ts";
import { until } from "./eventually.ts";
import { LogLines } from "./log-lines.ts";

/** A server port whose clients are in memory: it reaches its subscribers one by one. */
class MemoryPort implements Fanout {
  readonly #subscribers = new Map<string, Set<Connection>>();

  subscribe(connection: Connection, channel: string): void {
    const subscribers = this.#subscribers.get(channel);
    if (subscribers === undefined) this.#subscribers.set(channel, new Set([connection]));
    else subscribers.add(connection);
  }

  unsubscribe(connection: Connection, channel: string): void {
    this.#subscribers.get(channel)?.delete(connection);
  }

  publish(channel: string, data: Payload): number {
    let fail = 0;
    for (const connection of this.#subscribers.get(channel) ?? []) if (connection.send(data) !== undefined) fail++;
    return fail;
  }
}

/** A client that keeps what it is sent, and can be told to refuse. */
export class MemoryClient extends Connection {
  readonly got: Payload[] = [];
  refusal: Failure = undefined;

  constructor(id: number, port: Fanout) {
    super(id, "127.0.0.1", port, 0);
  }

  write(data: Payload): Failure {
    return this.send(data);
  }

  send(data: Payload): Failure {
    if (this.refusal === undefined) this.got.push(typeof data === "string" ? data : data.slice());
    return this.refusal;
  }

  close(_code?: number, reason?: string): void {
    this.open = false;
    this.closeReason = reason;
  }

  waitingBytes(): number {
    return 0;
  }
}

let engines = 0;

/** One engine's hub, queues and mesh on a real TCP port, without registry, servers and Lua. */
export class MeshEngine {
  readonly hub = new Hub();
  readonly queues: Queues;
  readonly log = new LogLines();
  readonly mesh: Mesh;
  readonly port = new MemoryPort();
  readonly ids: ClientIds;
  readonly number: number;
  readonly id: string;
  /** Set once it listens; tests change host and port to lead through a proxy. */
  record: NodeRecord;

  private constructor(options: Partial<MeshOptions>, queueLimits: Partial<QueueLimits>) {
    this.number = ++engines;
    this.ids = new ClientIds(this.number);
    // Ascending: the engine started first has the lowest id, and dials.
    this.id = options.nodeId ?? `engine${String(this.number).padStart(4, "0")}`;
    this.queues = new Queues({ topicSize: 100_000, maxTopics: 100, maxBytes: 1_000_000_000, ...queueLimits });
    const { hub, queues, log, id: nodeId } = this;
    this.mesh = new Mesh({
      hub,
      queues,
      log,
      nodeId,
      clusterName: "test",
      version: "1.0.0",
      bind: "127.0.0.1",
      port: 0,
      ...options,
    });
    this.record = {
      id: nodeId,
      number: this.number,
      host: "127.0.0.1",
      meshPort: 0,
      apiPort: 0,
      version: "1.0.0",
      startedAt: this.number,
      servers: [],
    };
  }

  static async start(options: Partial<MeshOptions> = {}, queueLimits: Partial<QueueLimits> = {}): Promise<MeshEngine> {
    const engine = new MeshEngine(options, queueLimits);
    const meshPort = await engine.mesh.listen();
    engine.record = { ...engine.record, meshPort };
    engine.mesh.start(engine.record);
    return engine;
  }

  connect(...channels: string[]): MemoryClient {
    const client = new MemoryClient(this.ids.next(), this.port);
    this.hub.add(client);
    for (const channel of channels) this.hub.subscribe(client, channel);
    return client;
  }

  /** The counters for one peer. */
  peer(other: MeshEngine) {
    const stats = this.mesh.stats.peers.find((peer) => peer.id === other.id);
    if (stats === undefined) throw new Error(`${this.id} has no peer ${other.id}`);
    return stats;
  }
}

/** Makes the engines members of one cluster and waits until every link is up. */
export async function cluster(...engines: MeshEngine[]): Promise<void> {
  for (const engine of engines) engine.mesh.setMembers(engines.map(({ record }) => record));
  await until(() => engines.every(({ mesh }) => mesh.stats.links === engines.length - 1));
}
