import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { until } from "./eventually.ts";
import { freePort } from "./ports.ts";

export interface RedisServerOptions {
  /** As on its command line, `["--requirepass", "x"]`. */
  arguments?: string[];
  /** Its configuration file, for Sentinel. */
  configuration?: string;
}

/** A real redis-server of its own on a free port, with no data on disk. */
export class RedisServer {
  readonly port: number;
  readonly #options: RedisServerOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "connmix-redis-"));
  #process: Bun.Subprocess | undefined;

  private constructor(port: number, options: RedisServerOptions) {
    this.port = port;
    this.#options = options;
  }

  /** Resolves when it answers. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(freePort(), options);
    await server.start();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `redis://${this.address}`;
  }

  /** Starts it again on the same port, its data gone. */
  async start(): Promise<void> {
    const command = ["redis-server"];
    if (this.#options.configuration !== undefined) {
      const file = join(this.#folder, "redis.conf");
      await Bun.write(file, this.#options.configuration);
      command.push(file);
    }
    command.push("--port", `${this.port}`, "--bind", "127.0.0.1", "--dir", this.#folder);
    command.push(...(this.#options.arguments ?? ["--save", ""]));
    this.#process = Bun.spawn(command, { stdout: "ignore", stderr: "ignore" });
    await until(() => this.#answers(), 10_000, `redis-server on port ${this.port}`);
  }

  /** One command on a connection of its own. */
  async command(name: string, ...parameters: string[]): Promise<unknown> {
    const redis = new Redis({ port: this.port, lazyConnect: true, retryStrategy: null, commandTimeout: 2000 });
    redis.on("error", () => {});
    try {
      await redis.connect();
      return await redis.call(name, ...parameters);
    } finally {
      redis.disconnect();
    }
  }

  /** SIGTERM, as an operator would; its port is closed afterwards. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** It keeps its port and its connections and answers nothing. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it for good. */
  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Whether it answers at all; a server with a password refuses, and is there. */
  async #answers(): Promise<boolean> {
    const answer = Promise.withResolvers<boolean>();
    const socket = connect({ host: "127.0.0.1", port: this.port });
    socket.on("error", () => answer.resolve(false));
    socket.on("data", (data) => answer.resolve(/^(\+PONG|-NOAUTH)/.test(data.toString())));
    socket.write("PING\r\n");
    const answers = await answer.promise;
    socket.destroy();
    return answers;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#process?.kill(signal);
    this.#process?.kill("SIGCONT");
    await this.#process?.exited;
  }
}

/** A master, its replica and one Sentinel that fails over as soon as it sees the master down. */
export class RedisSentinel {
  private constructor(
    readonly master: RedisServer,
    readonly replica: RedisServer,
    readonly sentinel: RedisServer,
  ) {}

  static readonly masterName = "connmix-test";

  static async start(): Promise<RedisSentinel> {
    const master = await RedisServer.start({ arguments: ["--save", "", "--repl-diskless-sync-delay", "0"] });
    const replica = await RedisServer.start({
      arguments: ["--save", "", "--replicaof", "127.0.0.1", `${master.port}`],
    });
    const name = RedisSentinel.masterName;
    const sentinel = await RedisServer.start({
      arguments: ["--sentinel"],
      configuration: [
        `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 2000`,
        "",
      ].join("\n"),
    });
    await until(async () => ((await sentinel.command("SENTINEL", "REPLICAS", name)) as unknown[]).length === 1);
    await until(async () => String(await replica.command("INFO", "replication")).includes("master_link_status:up"));
    return new RedisSentinel(master, replica, sentinel);
  }

  async dispose(): Promise<void> {
    for (const server of [this.sentinel, this.replica, this.master]) await server.dispose();
  }
}

/** A Redis Cluster of three masters that share the slots. */
export class RedisCluster {
  private constructor(readonly servers: RedisServer[]) {}

  static async start(): Promise<RedisCluster> {
    const servers: RedisServer[] = [];
    for (let index = 0; index < 3; index++) {
      const bus = freePort();
      servers.push(
        await RedisServer.start({
          arguments: [
            "--save",
            "",
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            `${bus}`,
            "--cluster-node-timeout",
            "1000",
          ],
        }),
      );
      await servers[0]!.command("CLUSTER", "MEET", "127.0.0.1", `${servers[index]!.port}`, `${bus}`);
      await servers[index]!.command("CLUSTER", "ADDSLOTSRANGE", ...SLOTS[index]!);
    }
    for (const server of servers) {
      await until(async () => String(await server.command("CLUSTER", "INFO")).includes("cluster_state:ok"), 20_000);
    }
    return new RedisCluster(servers);
  }

  get addresses(): string[] {
    return this.servers.map((server) => server.address);
  }

  async dispose(): Promise<void> {
    for (const server of this.servers) await server.dispose();
  }
}

const SLOTS = [
  ["0", "5460"],
  ["5461", "10922"],
  ["10923", "16383"],
];
