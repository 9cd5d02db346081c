import { resolve } from "node:path";
import { Connmix, freePorts, type StartOptions } from "./connmix.ts";
import { eventually } from "./eventually.ts";
import { metric, scrape } from "./metrics.ts";
import { freePort } from "./ports.ts";
import { RedisServer } from "./redis.ts";

export type RegistryKind = "center" | "redis";
export const REGISTRIES: RegistryKind[] = ["center", "redis"];

/** How long a dead engine may stay listed, in milliseconds: a center's TTL is fixed, with Redis the tests choose a short one. */
export const TTL: Record<RegistryKind, number> = { center: 10_000, redis: 2000 };

const SCRIPT = resolve(import.meta.dir, "cluster.lua");

export interface EngineOptions extends StartOptions {
  /** Settings below `cluster`. */
  cluster?: object;
  /** Settings below `engine`. */
  engine?: object;
  /** Settings of the protocol server. */
  server?: object;
  command?: string;
}

/** One entry of `/v1/nodes`. */
export interface NodeEntry {
  id: string;
  number: number;
  api_server: string;
  mesh_point: string;
  version: string;
  servers: { protocol: string; port: number }[];
}

/** Engines that run `cluster.lua`, and the registry they have in common: a real center or a real Redis. */
export class Cluster {
  readonly engines: Connmix[] = [];
  center: Connmix | undefined;
  readonly redis: RedisServer | undefined;
  readonly #centerPort: number;
  /** Settings below `cluster`, for every node. */
  readonly #settings: object;

  static async start(kind: RegistryKind, engines = 3, settings: object = {}): Promise<Cluster> {
    const redis = kind === "redis" ? await RedisServer.start() : undefined;
    const cluster = new Cluster(redis, settings);
    try {
      if (kind === "center") await cluster.startCenter();
      await Promise.all(Array.from({ length: engines }, () => cluster.addEngine()));
      await cluster.linked();
    } catch (error) {
      await cluster.dispose();
      throw error;
    }
    return cluster;
  }

  private constructor(redis: RedisServer | undefined, settings: object) {
    this.redis = redis;
    this.#centerPort = freePort();
    this.#settings = { advertise: "127.0.0.1", ...settings };
  }

  /** Starts the center, always on the same port. */
  async startCenter(): Promise<void> {
    const config = freePorts();
    const center = { ...(config.center as object), registry: { port: this.#centerPort, bind: "127.0.0.1" } };
    this.center = await Connmix.start("center", { ...config, center, cluster: this.#settings });
  }

  async killCenter(): Promise<void> {
    await this.center?.kill();
    this.center = undefined;
  }

  async addEngine(options: EngineOptions = {}): Promise<Connmix> {
    const engine = await Connmix.start(options.command ?? "engine", this.engineConfig(options), options);
    this.engines.push(engine);
    return engine;
  }

  engineConfig({ cluster, engine, server }: EngineOptions = {}): object {
    const registry =
      this.redis === undefined
        ? { registry: "center" }
        : { registry: "redis", redis: { url: this.redis.url, ttl: TTL.redis / 1000 } };
    const luavm = { queue: { topicSize: 100_000 } };
    const config = freePorts(
      { entry: SCRIPT, ...server },
      { centerRegistry: `127.0.0.1:${this.#centerPort}`, luavm, ...engine },
    );
    return { ...config, cluster: { ...this.#settings, ...registry, ...cluster } };
  }

  /** Kills an engine and forgets it. */
  async kill(engine: Connmix): Promise<void> {
    this.engines.splice(this.engines.indexOf(engine), 1);
    await engine.kill();
  }

  /** Resolves when every engine lists every other, has a link to it, and is registered. */
  async linked(engines = this.engines, timeoutMs = 10_000): Promise<void> {
    const ids = engines.map(({ nodeId }) => nodeId).sort();
    await Promise.all(
      engines.map((engine) =>
        eventually(async () => {
          const listed = (await nodes(engine.apiPort)).map(({ id }) => id).sort();
          if (listed.join() !== ids.join()) throw new Error(`${engine.nodeId} lists ${listed}, running are ${ids}`);
          const links = metric(await scrape(engine.apiPort), "connmix_engine_mesh_links");
          if (links !== engines.length - 1) throw new Error(`${engine.nodeId} has ${links} links`);
          const reason = await notReady(engine);
          if (reason !== undefined) throw new Error(`${engine.nodeId} is not ready: ${reason}`);
        }, timeoutMs),
      ),
    );
  }

  /** Id and number of every engine, as each of them and the center list it; fails when they do not agree. */
  async registrations(): Promise<Record<string, number>> {
    const ports = this.engines.map(({ apiPort }) => apiPort);
    if (this.center !== undefined) ports.push(this.center.centerApiPort);
    const lists = await Promise.all(ports.map(nodes));
    const [first, ...others] = lists.map((list) => list.map(({ id, number }) => `${id} ${number}`).sort());
    for (const other of others) if (other.join() !== first!.join()) throw new Error(`${other} is not ${first}`);
    return Object.fromEntries(lists[0]!.map(({ id, number }) => [id, number]));
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.engines.map((engine) => engine.kill()), this.killCenter(), this.redis?.dispose()]);
  }
}

/** Runs a test on a cluster of its own and ends every process of it, whatever comes. */
export async function withCluster(
  kind: RegistryKind,
  engines: number,
  run: (cluster: Cluster) => Promise<void>,
  settings: object = {},
): Promise<void> {
  const cluster = await Cluster.start(kind, engines, settings);
  try {
    await run(cluster);
  } finally {
    await cluster.dispose();
  }
}

/** What the API server on `port`, of a center or an engine, answers to `/v1/nodes`. */
export async function nodes(port: number): Promise<NodeEntry[]> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/nodes`);
  return ((await response.json()) as { nodes: NodeEntry[] }).nodes;
}

/** The reason `/readyz` gives; `undefined` when the engine is ready. */
export async function notReady(engine: Connmix): Promise<string | undefined> {
  const response = await fetch(`http://127.0.0.1:${engine.apiPort}/readyz`);
  return response.ok ? undefined : await response.text();
}
