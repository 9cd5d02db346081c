import { customAlphabet } from "nanoid";
import { Access } from "./api/access.ts";
import { ApiServer } from "./api/server.ts";
import { ClientIds } from "./client-id.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { ClusterConfig, Config } from "./config/schema.ts";
import { consoleRoutes } from "./console/console.ts";
import type { NodeState } from "./console/state.ts";
import { type EngineServer, limitsOf, openServer, type ServerContext } from "./engine-server.ts";
import { Hub } from "./hub/hub.ts";
import { Queues } from "./hub/queue.ts";
import { Certificate } from "./listen/certificate.ts";
import { RemoteAddress } from "./listen/remote-address.ts";
import type { Log, OwnLog } from "./log.ts";
import { Mesh } from "./mesh/mesh.ts";
import type { MetricSet } from "./metrics/metric-set.ts";
import { SendTimer } from "./metrics/send-timer.ts";
import type { RunningNode } from "./node.ts";
import { CenterClient } from "./registry/center-client.ts";
import type { NodeLoad, NodeRecord, Registry } from "./registry/registry.ts";
import { Port } from "./server/port.ts";
import { Sweeper } from "./server/sweeper.ts";
import { outgoingAddress } from "./this-machine.ts";
import { ThrottledLog } from "./throttled-log.ts";
import { VERSION } from "./version.ts";
import { supervisorLink } from "./worker-link.ts";

export interface EngineOptions {
  /** Which of the processes that share the ports this is, and how many there are (`-p N`). */
  worker?: number;
  workers?: number;
  /** Development: web pages of any origin may use the API. */
  anyOrigin?: boolean;
}

const newNodeId = customAlphabet("0123456789abcdefghijklmnopqrstuvwxyz", 10);

const TOP_CHANNELS = 20;
/** Log lines about single clients, of one kind in ten seconds. */
const CLIENT_LINES = 5;

/** Builds an engine from its parts and starts it. Rejects with a `UserError`, with everything stopped, when a step fails. */
export async function startEngine(
  loaded: LoadedConfig,
  log: OwnLog,
  options: EngineOptions = {},
): Promise<RunningNode> {
  const { cluster, engine: settings } = loaded.config;
  const registry = await createRegistry(cluster, settings.centerRegistry, log);
  const engine = new Engine(loaded, log, registry, options);
  try {
    await engine.start();
  } catch (thrown) {
    await engine.abort();
    throw thrown;
  }
  return engine;
}

class Engine implements RunningNode {
  readonly #loaded: LoadedConfig;
  #config: Config;
  readonly #log: OwnLog;
  readonly #shared: boolean;
  readonly #id = newNodeId();
  readonly #startedAt = Date.now();
  readonly #hub = new Hub();
  readonly #ids = new ClientIds(0);
  readonly #queues: Queues;
  readonly #mesh: Mesh;
  readonly #registry: Registry;
  readonly #access: Access;
  readonly #api: ApiServer;
  readonly #sweeper: Sweeper;
  readonly #throttled: ThrottledLog;
  #metrics: Promise<MetricSet> | undefined;
  readonly #sendTimer: SendTimer;
  #servers: EngineServer[] = [];
  #members: NodeRecord[] = [];
  #draining = false;

  constructor(loaded: LoadedConfig, log: OwnLog, registry: Registry, options: EngineOptions) {
    const { config } = loaded;
    const { cluster, engine } = config;
    this.#loaded = loaded;
    this.#config = config;
    this.#log = log;
    this.#shared = (options.workers ?? 1) > 1;
    this.#queues = new Queues(engine.luavm.queue);
    this.#sweeper = new Sweeper(this.#hub);
    this.#throttled = new ThrottledLog(log, CLIENT_LINES);
    this.#mesh = new Mesh({
      hub: this.#hub,
      queues: this.#queues,
      log,
      nodeId: this.#id,
      clusterName: cluster.name,
      secret: cluster.secret,
      version: VERSION,
      bind: engine.meshPoint.bind,
      // Workers are nodes of their own: the first has the configured mesh port, the others any free one.
      port: (options.worker ?? 0) === 0 ? engine.meshPoint.port : 0,
    });
    const { maxAge, ageBuckets } = config.prometheus.summary;
    this.#sendTimer = new SendTimer(maxAge, ageBuckets);
    this.#mesh.onSent = ({ fanout }, started) => {
      if (fanout instanceof Port) this.#sendTimer.local(fanout.protocol, started);
    };
    this.#mesh.onForwarded = (started) => this.#sendTimer.forwarded(started);
    this.#registry = registry;
    this.#registry.load = () => this.#load();
    this.#access = new Access(config.access.users);
    this.#api = new ApiServer({
      ...engine.apiServer,
      name: "api server",
      reusePort: this.#shared,
      certificate:
        engine.apiServer.tls &&
        new Certificate(engine.apiServer.tls, loaded.where(["engine", "apiServer", "tls"]), log),
      remoteAddress: new RemoteAddress(engine.apiServer.trustedProxies),
      limits: engine.apiServer,
      access: this.#access,
      allowedOrigins: options.anyOrigin ? "*" : [],
      operations: this.#mesh,
      status: {
        version: VERSION,
        nodes: () => this.#members,
        metrics: () => this.#metricsText(),
        ready: () => this.#notReady(),
      },
      extraRoutes: consoleRoutes(() => this.#consoleState()),
      log,
    });
    supervisorLink?.offerMetrics(async () => (await this.#metricSet()).json());
  }

  /** In the order in which each step needs the one before; the ports let clients in last, when the number is known. */
  async start(): Promise<void> {
    const { engine, cluster } = this.#config;
    const context: ServerContext = {
      hub: this.#hub,
      ids: this.#ids,
      sweeper: this.#sweeper,
      throttled: this.#throttled,
      log: this.#log,
      operations: this.#mesh,
      nodeId: this.#id,
      redis: engine.luavm.redis,
      reusePort: this.#shared,
      maxExecTime: () => this.#config.engine.luavm.maxExecTime,
    };
    for (const index of engine.servers.keys()) this.#servers.push(openServer(this.#loaded, index, context));
    const meshPort = await this.#mesh.listen();
    const apiPort = await this.#api.start();
    this.#registry.onMembers = (members) => {
      this.#members = members;
      this.#mesh.setMembers(members);
    };
    this.#registry.onRenumbered = (record) => this.#renumbered(record);
    const record = await this.#registry.join({
      id: this.#id,
      host: cluster.advertise ?? advertised(engine.meshPoint.bind),
      meshPort,
      apiPort,
      version: VERSION,
      startedAt: this.#startedAt,
      servers: this.#servers.map(({ port, listening }) => ({ protocol: port.protocol, port: listening })),
    });
    this.#ids.renumber(record.number);
    this.#mesh.start(record);
    this.#sweeper.start();
    for (const [index, { port, listening, label }] of this.#servers.entries()) {
      port.accepting = true;
      this.#log.info(`start the protocol server ${label} (${engine.servers[index]?.bind}:${listening})`);
    }
    setTimeout(() => void this.#metricSet());
  }

  async stop(): Promise<void> {
    this.#draining = true;
    const { drainTimeout } = this.#config;
    const deadline = performance.now() + drainTimeout * 1000 * 0.9;
    this.#log.info(`drain: ${this.#hub.connectionCount} clients, at most ${drainTimeout} s`);
    for (const { port } of this.#servers) port.stopListening();
    await this.#registry.leave();
    await within(deadline, Promise.all(this.#servers.map(({ port }) => port.drain((drainTimeout * 1000) / 2))));
    await this.#emptyQueues(deadline);
    const left = this.#hub.connectionCount;
    if (left > 0) this.#log.warn(`drain: ${left} clients did not leave in time and are cut off`);
    await this.abort();
    this.#log.info("drain: done");
  }

  /** Stops whatever has been started, in reverse order. */
  async abort(): Promise<void> {
    for (const { port } of this.#servers) port.terminate();
    this.#sweeper.stop();
    await Promise.all(this.#servers.map(({ script }) => script.stop()));
    await this.#registry.leave();
    await this.#api.stop();
    await this.#mesh.stop();
  }

  reconfigure(config: Config): void {
    this.#config = config;
    this.#access.replace(config.access.users);
    this.#api.limits = config.engine.apiServer;
    for (const [index, { port }] of this.#servers.entries()) {
      const server = config.engine.servers[index];
      if (server !== undefined) port.setLimits(limitsOf(server));
    }
  }

  /** Another node has this one's number: ids issued under it lead there now, so their clients have to come anew. */
  #renumbered(record: NodeRecord): void {
    this.#log.warn(
      `this node has number ${record.number} now: its ${this.#hub.connectionCount} clients are closed with 1012`,
    );
    this.#ids.renumber(record.number);
    this.#mesh.renumber(record);
    for (const connection of [...this.#hub.connections()]) {
      connection.closeReason ??= "the node was renumbered";
      connection.close(1012, "service restart: connect again");
    }
  }

  /** Consumers that read get what waits here; what nobody takes in time is lost with the process, and said so. */
  async #emptyQueues(deadline: number): Promise<void> {
    const waiting = () => {
      let served = 0;
      let all = 0;
      for (const { depth, consumers } of this.#queues.stats().values()) {
        all += depth;
        if (consumers > 0) served += depth;
      }
      return { served, all };
    };
    while (waiting().served > 0 && performance.now() < deadline) await Bun.sleep(20);
    const { all } = waiting();
    if (all > 0) this.#log.warn(`drain: ${all} queued messages have no consumer and are lost`);
  }

  #notReady(): string | undefined {
    if (this.#draining) return "draining";
    if (this.#registry.state !== "joined") return `registry ${this.#registry.state}`;
    const unreachable = this.#mesh.unlinked();
    if (unreachable.length > 0) return `no mesh link to ${unreachable.join(", ")}`;
    return undefined;
  }

  #load(): NodeLoad {
    let readMessages = 0;
    let sentMessages = 0;
    for (const { port } of this.#servers) {
      readMessages += port.stats.readMessages;
      sentMessages += port.stats.sentMessages;
    }
    const { connectionCount: clients, channelCount: channels } = this.#hub;
    return { clients, channels, readMessages, sentMessages, publishes: this.#mesh.stats.publishes };
  }

  #consoleState(): NodeState {
    const load = this.#load();
    const topics = [...this.#queues.stats()].map(([name, stats]) => ({ name, ...stats }));
    const topChannels = [...this.#hub.channels()]
      .map((name) => ({ name, subscribers: this.#hub.subscribers(name) }))
      .sort((a, b) => b.subscribers - a.subscribers)
      .slice(0, TOP_CHANNELS);
    return {
      node: {
        id: this.#id,
        role: "engine",
        version: VERSION,
        registry: `${this.#registry.kind} ${this.#registry.state}`,
        uptime: (Date.now() - this.#startedAt) / 1000,
      },
      members: this.#members.map((member) => (member.id === this.#id ? { ...member, load } : member)),
      engine: { ...load, topics, topChannels },
      log: [...this.#log.recent()],
    };
  }

  /** Loaded when the engine serves already: the library would take a quarter of the start. */
  #metricSet(): Promise<MetricSet> {
    this.#metrics ??= import("./metrics/engine-metrics.ts").then(({ createEngineMetrics }) =>
      createEngineMetrics({
        version: VERSION,
        ports: () => this.#servers.map(({ port }) => port),
        sendDurations: () => this.#sendTimer.durations(),
        channels: () => this.#hub.channelCount,
        topics: () => this.#queues.stats(),
        topicCounts: () => this.#queues.counts(),
        queues: () => this.#queues,
        scripts: () => this.#servers.map(({ label, script }) => ({ entry: label, stats: script.stats })),
        mesh: () => this.#mesh.stats,
        registry: () => this.#registry,
        api: () => this.#api.stats,
      }),
    );
    return this.#metrics;
  }

  async #metricsText(): Promise<string> {
    if (supervisorLink === undefined) return (await this.#metricSet()).text();
    const { sumMetrics } = await import("./metrics/sum-metrics.ts");
    return sumMetrics(await supervisorLink.collectMetrics());
  }
}

/** The Redis client takes a while to load, so only clusters that need it do. */
async function createRegistry(cluster: ClusterConfig, centerRegistry: string, log: Log): Promise<Registry> {
  if (cluster.registry === "center") {
    return new CenterClient({ address: centerRegistry, cluster: cluster.name, secret: cluster.secret, log });
  }
  const { RedisRegistry } = await import("./registry/redis.ts");
  return new RedisRegistry({ ...cluster.redis, cluster: cluster.name, ttl: cluster.redis.ttl * 1000, log });
}

/** A node bound to one address is reached there; one bound to all of them, by the outgoing interface's. */
function advertised(bind: string): string {
  return bind === "0.0.0.0" || bind === "::" ? outgoingAddress() : bind;
}

/** Waits for `work`, but not beyond `deadline` (of `performance.now()`). */
async function within(deadline: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()));
  await Promise.race([work, promise]);
  clearTimeout(timer);
}
