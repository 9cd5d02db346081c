/** What a worker process of `-p N` was started as; handed over in the environment. */
export interface WorkerRole {
  /** 0 to `of` - 1. */
  number: number;
  of: number;
  /** The center to register with instead of the configured one, `host:port`. */
  centerRegistry?: string;
}

export const ROLE_VARIABLE = "CONNMIX_WORKER";

/** One process's metrics, as prom-client's `getMetricsAsJSON` gives them. */
export type Metrics = object[];

export type ToSupervisor =
  | { type: "ready" }
  | { type: "scrape"; id: number }
  | { type: "metrics"; id: number; metrics: Metrics };

export type ToWorker = { type: "collect"; id: number } | { type: "scraped"; id: number; all: Metrics[] };

/** Undefined in a process that no supervisor started. */
export const workerRole: WorkerRole | undefined = readRole();

function readRole(): WorkerRole | undefined {
  const text = process.env[ROLE_VARIABLE];
  return text && process.send ? (JSON.parse(text) as WorkerRole) : undefined;
}

/** A worker's line to its supervisor. */
class SupervisorLink {
  /** Called when the supervisor is gone: this worker has to end as well. */
  onLost: () => void = () => {};

  readonly #scrapes = new Map<number, (all: Metrics[]) => void>();
  #lastScrape = 0;
  #own: () => Promise<Metrics> = async () => [];

  constructor() {
    process.on("message", (message: ToWorker) => {
      if (message.type === "collect") void this.#answer(message.id);
      else this.#scrapes.get(message.id)?.(message.all);
    });
    process.on("disconnect", () => this.onLost());
  }

  /** Tells the supervisor that this worker serves. */
  ready(): void {
    this.#send({ type: "ready" });
  }

  /** `own` answers for this worker whenever any of them is scraped. */
  offerMetrics(own: () => Promise<Metrics>): void {
    this.#own = own;
  }

  /** The metrics of every worker that answers in time, this one included; prom-client's `AggregatorRegistry.aggregate` sums them. */
  async collectMetrics(): Promise<Metrics[]> {
    const id = ++this.#lastScrape;
    const { promise, resolve } = Promise.withResolvers<Metrics[]>();
    this.#scrapes.set(id, resolve);
    this.#send({ type: "scrape", id });
    try {
      return await promise;
    } finally {
      this.#scrapes.delete(id);
    }
  }

  async #answer(id: number): Promise<void> {
    this.#send({ type: "metrics", id, metrics: await this.#own() });
  }

  #send(message: ToSupervisor): void {
    if (process.connected) process.send?.(message);
  }
}

/** Undefined in a process that no supervisor started. */
export const supervisorLink: SupervisorLink | undefined = workerRole && new SupervisorLink();
