import type { Subprocess } from "bun";
import type { LoadedConfig } from "./config/load.ts";
import { UserError } from "./errors.ts";
import type { Log } from "./log.ts";
import type { RunningNode } from "./node.ts";
import { listenError } from "./server/port.ts";
import { type Metrics, ROLE_VARIABLE, type ToSupervisor, type ToWorker, type WorkerRole } from "./worker-link.ts";

export interface WorkersOptions {
  workers: number;
  /** The center the workers register with instead of the configured one, `host:port`. */
  centerRegistry?: string;
}

/** A worker that lived for less is started again after a pause, which doubles each time. */
const SHORT_LIFE_MS = 5_000;
const PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
/** A worker that does not answer for so long is left out of the metrics. */
const SCRAPE_MS = 2_000;

/**
 * Starts `workers` engine processes that share the client and API ports, and resolves when all of them serve. From then on
 * one that dies is replaced. Rejects with a `UserError` when a port cannot be shared or a worker ends while starting; what
 * was wrong it has said itself.
 */
export async function startWorkers(loaded: LoadedConfig, log: Log, options: WorkersOptions): Promise<RunningNode> {
  refusePortsInUse(loaded);
  const workers = Array.from(
    { length: options.workers },
    (_, number) => new Worker(loaded, log, { number, of: options.workers, centerRegistry: options.centerRegistry }),
  );
  const reload = () => {
    for (const worker of workers) worker.signal("SIGHUP");
  };
  const killAll = () => {
    for (const worker of workers) worker.signal("SIGKILL");
  };
  const stop = async () => {
    process.off("SIGHUP", reload);
    await Promise.all(workers.map((worker) => worker.stop()));
    process.off("exit", killAll);
  };

  process.on("SIGHUP", reload);
  process.on("exit", killAll);
  for (const worker of workers) worker.onScrape = async (id) => worker.send({ type: "scraped", id, all: await all() });
  const all = async () =>
    (await Promise.all(workers.map((worker) => worker.metrics()))).filter((one) => one !== undefined);
  try {
    await Promise.all(workers.map((worker) => worker.start()));
  } catch (thrown) {
    await stop();
    throw thrown;
  }
  log.info(`${options.workers} workers are up`);
  return { stop };
}

/** One place for a worker process, and the process that holds it now. */
class Worker {
  onScrape: (id: number) => void = () => {};

  readonly #loaded: LoadedConfig;
  readonly #log: Log;
  readonly #role: WorkerRole;
  readonly #collecting = new Map<number, (metrics: Metrics | undefined) => void>();
  readonly #started = Promise.withResolvers<void>();
  #hasStarted = false;
  #lastCollect = 0;
  #process: Subprocess<"ignore", "inherit", "inherit"> | undefined;
  #serving = false;
  #stopping = false;
  #pause = 0;
  #restart: Timer | undefined;

  constructor(loaded: LoadedConfig, log: Log, role: WorkerRole) {
    this.#loaded = loaded;
    this.#log = log;
    this.#role = role;
  }

  /** Resolves when the first process of this worker serves; rejects when it ends before. */
  start(): Promise<void> {
    this.#spawn();
    return this.#started.promise;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.signal("SIGTERM");
    await this.#process?.exited;
  }

  signal(signal: "SIGTERM" | "SIGKILL" | "SIGHUP"): void {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) this.#process.kill(signal);
  }

  send(message: ToWorker): void {
    if (this.#serving) this.#process?.send(message);
  }

  /** Undefined when the worker is not serving or does not answer in time. */
  async metrics(): Promise<Metrics | undefined> {
    if (!this.#serving) return undefined;
    const id = ++this.#lastCollect;
    const { promise, resolve } = Promise.withResolvers<Metrics | undefined>();
    const timer = setTimeout(resolve, SCRAPE_MS);
    this.#collecting.set(id, resolve);
    this.send({ type: "collect", id });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#collecting.delete(id);
    }
  }

  #spawn(): void {
    const startedAt = performance.now();
    const { file } = this.#loaded;
    this.#process = Bun.spawn([...program(), "engine", ...(file === undefined ? [] : ["-f", file])], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, [ROLE_VARIABLE]: JSON.stringify(this.#role) },
      ipc: (message: ToSupervisor) => this.#received(message),
      onExit: (_, code, signal) => this.#ended(signal ?? code, performance.now() - startedAt),
    });
  }

  #received(message: ToSupervisor): void {
    if (message.type === "scrape") this.onScrape(message.id);
    else if (message.type === "metrics") this.#collecting.get(message.id)?.(message.metrics);
    else {
      this.#serving = this.#hasStarted = true;
      this.#log.info(`worker ${this.#role.number} is process ${this.#process?.pid}`);
      this.#started.resolve();
    }
  }

  #ended(how: string | number | null, livedMs: number): void {
    this.#serving = false;
    for (const resolve of this.#collecting.values()) resolve(undefined);
    const name = `worker ${this.#role.number} (process ${this.#process?.pid})`;
    if (!this.#hasStarted) this.#started.reject(new UserError(`${name} ended while starting (${how})`));
    if (!this.#hasStarted || this.#stopping) return;
    this.#pause = livedMs < SHORT_LIFE_MS ? Math.min(Math.max(this.#pause * 2, PAUSE_MS), MAX_PAUSE_MS) : 0;
    const next = `another is started${this.#pause ? ` in ${this.#pause / 1000} s` : ""}`;
    // Code 0 is a drain that somebody asked this one worker for, as in a rolling restart.
    if (how === 0) this.#log.info(`${name} has drained, ${next}`);
    else this.#log.error(`${name} ended (${how}), ${next}`);
    this.#restart = setTimeout(() => this.#spawn(), this.#pause);
  }
}

/** This program once more: the executable by itself, or Bun with the script. */
function program(): string[] {
  const compiled = Bun.main.startsWith("/$bunfs/") || Bun.main.includes("~BUN");
  return compiled ? [process.execPath] : [process.execPath, ...process.execArgv, Bun.main];
}

/** Shared ports would be shared with a stranger too, for instance with another connmix: that is no error to the system. */
function refusePortsInUse({ config, where }: LoadedConfig): void {
  const { apiServer, servers } = config.engine;
  const ports = [
    { ...apiServer, path: ["engine", "apiServer", "port"] },
    ...servers.map((server, index) => ({ ...server, path: ["engine", "servers", index, "port"] })),
  ];
  for (const { bind, port, path } of ports) {
    if (port === 0) throw new UserError(`${where(path)}: found 0, expected a port that several workers can share`);
    try {
      Bun.listen({ hostname: bind, port, socket: { data() {} } }).stop(true);
    } catch (thrown) {
      throw listenError("the workers", bind, port, thrown);
    }
  }
}
