import type { Redis } from "ioredis";
import { messageOf } from "../../errors.ts";
import type { RedisOptions } from "../host.ts";

/** A server that neither answers nor refuses is given up after this long. */
const ANSWER_MS = 5000;

/** Loaded with the first command: most engines never need it, and it takes a while. */
let library: typeof import("ioredis") | undefined;

interface Member {
  client: Redis;
  /** Until it has connected: commands wait for it, all with the one attempt. */
  connecting: Promise<void> | undefined;
  /** Commands not answered yet. */
  pending: number;
  /** When the last command was answered, in milliseconds of `performance.now()`. */
  idleSince: number;
  /** What ioredis told about a broken connection; commands it rejects with a mere "Connection is closed." */
  cause: Error | undefined;
}

/**
 * The connections to one Redis server. They are opened when commands need them, shared by all callbacks (commands are
 * pipelined), and closed when unused. A connection that breaks fails its commands at once and is forgotten; the next command
 * opens another, so nothing queues up for a server that is away.
 */
export class RedisPool {
  readonly #options: RedisOptions;
  readonly #members: Member[] = [];
  #sweep: Timer | undefined;

  constructor(options: RedisOptions) {
    this.#options = options;
  }

  /** How many connections are open or being opened. */
  get size(): number {
    return this.#members.length;
  }

  /**
   * Sends one command. Strings in the reply are Buffers, errors inside arrays are Errors. Rejects with the server's error
   * or with why the server could not be asked.
   */
  async command(command: string, args: (string | Buffer)[]): Promise<unknown> {
    library ??= await import("ioredis");
    const member = this.#leastBusy(library);
    member.pending++;
    try {
      if (member.connecting !== undefined) await member.connecting;
      // In capitals ioredis takes it as it is; in small letters it would turn replies of HGETALL into objects, and arguments too.
      return await member.client.callBuffer(command.toUpperCase(), ...args);
    } catch (error) {
      // The answer to the command stands for itself; anything else means a broken connection and needs to say which.
      if (error instanceof Error && error.name === "ReplyError" && error !== member.cause) throw error;
      this.#drop(member);
      const { name, addr } = this.#options;
      const lost = member.client.status !== "ready" ? messageOf(error) : "the connection was lost";
      throw new Error(`redis "${name}" (${addr}): ${member.cause?.message ?? lost}`);
    } finally {
      member.pending--;
      member.idleSince = performance.now();
    }
  }

  stop(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    for (const { client } of this.#members.splice(0)) client.disconnect();
  }

  #leastBusy(redis: typeof import("ioredis")): Member {
    let least: Member | undefined;
    for (const member of this.#members) {
      if (least === undefined || member.pending < least.pending) least = member;
    }
    if (least !== undefined && (least.pending === 0 || this.#members.length >= this.#options.poolSize)) return least;
    return this.#open(redis);
  }

  #open({ Redis }: typeof import("ioredis")): Member {
    const { addr, password, db } = this.#options;
    const colon = addr.lastIndexOf(":");
    const client = new Redis({
      host: addr.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(addr.slice(colon + 1)),
      password,
      db,
      // RESP2 is what every server speaks, and the replies are the same.
      protocol: 2,
      disableClientInfo: true,
      enableReadyCheck: false,
      lazyConnect: true,
      enableOfflineQueue: false,
      retryStrategy: null,
      connectTimeout: ANSWER_MS,
      socketTimeout: ANSWER_MS,
    });
    const member: Member = {
      client,
      connecting: undefined,
      pending: 0,
      idleSince: performance.now(),
      cause: undefined,
    };
    client.on("error", (error: Error) => {
      member.cause = error;
    });
    client.on("end", () => this.#drop(member));
    member.connecting = client.connect().then(() => {
      // A refused SELECT only emits an error: the commands would go to database 0.
      if (member.cause !== undefined) throw member.cause;
      member.connecting = undefined;
    });
    this.#members.push(member);
    this.#sweep ??= setInterval(() => this.#closeIdle(), 1000).unref();
    return member;
  }

  /** Its other commands fail with it; ioredis does not reconnect. */
  #drop(member: Member): void {
    const at = this.#members.indexOf(member);
    if (at < 0) return;
    this.#members.splice(at, 1);
    member.client.disconnect();
  }

  #closeIdle(): void {
    const before = performance.now() - this.#options.idleTimeout * 1000;
    for (const member of [...this.#members]) {
      if (member.pending === 0 && member.idleSince < before) this.#drop(member);
    }
    if (this.#members.length > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

/** The pools of one script by name; they outlive its reloads. */
export class RedisPools {
  readonly #pools: Map<string, RedisPool>;

  constructor(servers: RedisOptions[]) {
    this.#pools = new Map(servers.map((server) => [server.name, new RedisPool(server)]));
  }

  get(name: string): RedisPool | undefined {
    return this.#pools.get(name);
  }

  get names(): string[] {
    return [...this.#pools.keys()];
  }

  stop(): void {
    for (const pool of this.#pools.values()) pool.stop();
  }
}
