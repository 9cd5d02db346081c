import { NODE_NUMBERS } from "../client-id.ts";
import { UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import { backOff } from "./back-off.ts";
import { Members } from "./members.ts";
import {
  createRedisConnection,
  describeTarget,
  type RedisConnection,
  type RedisTarget,
  redisReason,
} from "./redis-connection.ts";
import { RedisLeases, type View } from "./redis-leases.ts";
import type { Candidate, NodeLoad, NodeRecord, Registry, RegistryState, RegistryStats } from "./registry.ts";

export interface RedisRegistryOptions extends RedisTarget {
  cluster: string;
  keyPrefix: string;
  /** Milliseconds without a renewal after which a node is dead. */
  ttl: number;
  log: Log;
}

/** Milliseconds. */
const JOIN_LIMIT = 5000;
const LEAVE_LIMIT = 1000;
const LONGEST_BACK_OFF = 2000;
/** Notices come in bursts when many nodes start at once; one look at Redis answers them all. */
const NOTICE_DELAY = 20;

/**
 * The registry of a cluster on Redis: every node renews its own keys three times within their TTL and looks who is alive;
 * a pub/sub notice makes it look at once. All times are those of Redis's clock.
 */
export class RedisRegistry implements Registry {
  readonly kind = "redis";
  readonly stats: RegistryStats = { stateChanges: 0, renewals: 0, failures: 0, lastError: undefined };
  load: () => NodeLoad | undefined = () => undefined;
  onMembers: (members: NodeRecord[]) => void = () => {};
  onState: (state: RegistryState) => void = () => {};
  onRenumbered: (record: NodeRecord) => void = () => {};

  readonly #log: Log;
  readonly #where: string;
  readonly #ttl: number;
  readonly #commands: RedisConnection;
  readonly #notices: RedisConnection;
  readonly #leases: RedisLeases;
  readonly #members = new Members((members) => this.onMembers(members));
  #state: RegistryState = "joining";
  #record: NodeRecord | undefined;
  #renewing = false;
  #timer: Timer | undefined;
  /** When `#timer` fires, in milliseconds of the monotonic clock. */
  #due = Number.POSITIVE_INFINITY;
  /** Attempts since the last success. */
  #failures = 0;
  /** What the driver said last; its rejections often only say that the connection is closed. */
  #driverError: string | undefined;

  constructor(options: RedisRegistryOptions) {
    this.#log = options.log;
    this.#where = describeTarget(options);
    this.#ttl = options.ttl;
    this.#commands = createRedisConnection(options, options.ttl);
    this.#notices = createRedisConnection(options, options.ttl);
    this.#leases = new RedisLeases(this.#commands, options.keyPrefix, options.cluster, options.ttl);
    for (const connection of [this.#commands, this.#notices]) {
      connection.on("error", (error: Error & { lastNodeError?: Error }) => {
        this.#driverError = redisReason(error.lastNodeError ?? error);
      });
    }
    this.#commands.on("close", () => {
      if (this.#state === "joined") this.#failed("the connection was closed");
    });
    this.#commands.on("ready", () => this.#renewIn(0));
    this.#notices.on("message", (_channel: string, notice: string) => this.#notice(notice));
  }

  get state(): RegistryState {
    return this.#state;
  }

  async join(candidate: Candidate): Promise<NodeRecord> {
    try {
      return await within(JOIN_LIMIT, this.#register(candidate));
    } catch (error) {
      this.#setState("left");
      this.#disconnect();
      const reason = this.#driverError ?? redisReason(error);
      throw new UserError(`cannot register with Redis at ${this.#where}: ${reason}; start it or correct cluster.redis`);
    }
  }

  async leave(): Promise<void> {
    if (this.#state === "left") return;
    const record = this.#record;
    this.#setState("left");
    clearTimeout(this.#timer);
    this.#members.stop();
    // What cannot be given back ends with its TTL.
    if (record !== undefined) {
      await within(LEAVE_LIMIT, this.#leases.release(record)).catch((error) => {
        this.#log.warn(
          `could not leave the redis registry ${this.#where}: ${redisReason(error)}; this node's keys there expire within ${this.#ttl / 1000} s`,
        );
      });
    }
    this.#disconnect();
  }

  async #register(candidate: Candidate): Promise<NodeRecord> {
    await Promise.all([this.#commands.connect(), this.#notices.connect()]);
    this.#log.info(`redis registry ${this.#where} connect successful`);
    // Before the first look, so that no change after it goes unseen.
    await this.#notices.subscribe(this.#leases.changes);
    this.#log.info(`register engine node_id ${candidate.id}`);
    return this.#renewAnew(candidate);
  }

  /** Registers under a number that is free. */
  async #renewAnew(candidate: Candidate): Promise<NodeRecord> {
    const number = await this.#leases.lease(candidate);
    if (number === undefined) throw new Error(`all ${NODE_NUMBERS} node numbers are taken`);
    const record = { ...candidate, number };
    const view = await this.#leases.renew(record, true);
    if (view === undefined) throw new Error(`an older node took number ${number}`);
    this.#renewed(record, view);
    return record;
  }

  #renewed(record: NodeRecord, { known, nodes, soonestEnd }: View): void {
    if (this.#state === "left") return;
    const lost = this.#record !== undefined && this.#record.number !== record.number;
    // After an outage, or when Redis has forgotten this node, the others may still be on their way back.
    if (this.#state === "away" || !known) this.#members.hold(this.#ttl);
    if (this.#state === "away") this.#log.info(`redis registry ${this.#where} is back, node_id ${record.id}`);
    this.#record = record;
    this.#failures = 0;
    this.stats.renewals++;
    this.#setState("joined");
    if (lost) this.onRenumbered(record);
    this.#members.replace(nodes);
    // Spread a little, so that nodes do not renew in step; a node that dies is seen when its TTL ends.
    const interval = (this.#ttl / 3) * (0.8 + Math.random() / 5);
    this.#renewIn(Math.max(NOTICE_DELAY, Math.min(interval, soonestEnd)));
  }

  #notice(notice: string): void {
    const [what, id] = notice.split(" ");
    if (what === "left" && id !== undefined) this.#members.remove(id);
    if (this.#state === "joined") this.#renewIn(NOTICE_DELAY);
  }

  /** Renews `milliseconds` from now, unless that is due earlier anyway. */
  #renewIn(milliseconds: number): void {
    const due = performance.now() + milliseconds;
    if (this.#record === undefined || this.#state === "left" || due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#renew(), milliseconds);
  }

  async #renew(): Promise<void> {
    this.#due = Number.POSITIVE_INFINITY;
    const record = this.#record;
    if (record === undefined) return;
    if (this.#renewing) {
      this.#renewIn(NOTICE_DELAY);
      return;
    }
    this.#renewing = true;
    // Subscribing again costs nothing, restores a subscription that was lost, and proves that the connection lives.
    const subscribed = this.#notices.subscribe(this.#leases.changes);
    subscribed.catch(() => {});
    try {
      const view = await this.#leases.renew({ ...record, load: this.load() }, false);
      // Back from an outage only when departures are heard of again: who is held then must not miss them.
      if (this.#state === "away") await subscribed;
      if (view !== undefined) this.#renewed(record, view);
      else if (this.#state !== "left") await this.#renewAnew(record);
    } catch (error) {
      this.#failed(redisReason(error));
    }
    this.#renewing = false;
  }

  #failed(reason: string): void {
    this.stats.failures++;
    this.stats.lastError = reason;
    this.#failures++;
    if (this.#state === "joined") {
      this.#log.warn(`the redis registry ${this.#where} is away: ${reason}; going on with the last known members`);
      this.#setState("away");
      this.#members.freeze();
    }
    this.#renewIn(backOff(this.#failures, Math.min(LONGEST_BACK_OFF, this.#ttl / 4)));
  }

  #setState(state: RegistryState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.stats.stateChanges++;
    this.onState(state);
  }

  #disconnect(): void {
    this.#commands.disconnect();
    this.#notices.disconnect();
  }
}

/** Rejects when `work` takes longer than `limit` milliseconds. */
async function within<T>(limit: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${limit / 1000} s`)), limit);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
