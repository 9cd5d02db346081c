import { NODE_NUMBERS } from "../client-id.ts";
import { nodeRecordSchema } from "./node-record.ts";
import type { RedisConnection } from "./redis-connection.ts";
import type { Candidate, NodeRecord } from "./registry.ts";

/**
 * What the cluster keeps in Redis. All keys share the hash tag `{cluster name}`, so Redis Cluster keeps them in one slot:
 *
 *     <prefix>{<cluster>}:number:<n>   the claim of the node that holds number n, with a TTL
 *     <prefix>{<cluster>}:node:<id>    the record of a node as JSON, with a TTL
 *     <prefix>{<cluster>}:nodes        sorted set of node ids by the end of their TTL, milliseconds of Redis's clock
 *     <prefix>{<cluster>}:cursor       the last number handed out
 *     <prefix>{<cluster>}:changes      channel: "changed", or "left <id>"
 *
 * A claim is the node's start time and id, padded so that of two claims the one that sorts first started first.
 */

/**
 * Renews number and record, owner-checked, and tells which nodes are alive; `false` when an older node holds the number.
 * The others are told when the record is new or changes hands, and when asked to, not at each renewal with its load.
 */
const RENEW = `
local number, node, nodes, changes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local claim, id, record, ttl, announce = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local holder = redis.call('GET', number)
if holder and holder < claim then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('EXISTS', node)
redis.call('SET', number, claim, 'PX', ttl)
redis.call('SET', node, record, 'PX', ttl)
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', now)
redis.call('ZADD', nodes, now + ttl, id)
redis.call('PEXPIRE', nodes, ttl)
if announce == '1' or known == 0 or holder ~= claim then redis.call('PUBLISH', changes, 'changed') end
return {now, known, redis.call('ZRANGE', nodes, 0, -1, 'WITHSCORES')}
`;

/** Gives back what still belongs to this node, and tells the others. */
const RELEASE = `
local number, node, nodes, changes = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local claim, id = ARGV[1], ARGV[2]
if redis.call('GET', number) == claim then redis.call('DEL', number) end
redis.call('DEL', node)
redis.call('ZREM', nodes, id)
redis.call('PUBLISH', changes, 'left ' .. id)
return true
`;

export interface View {
  /** Whether Redis still had this node's record: not at the first time, after a lost lease, or when it lost its data. */
  known: boolean;
  nodes: NodeRecord[];
  /** Milliseconds until the first of them dies, unless it renews its lease. */
  soonestEnd: number;
}

export class RedisLeases {
  /** The channel that carries "changed" and "left <id>". */
  readonly changes: string;
  readonly #redis: RedisConnection;
  readonly #prefix: string;
  readonly #ttl: number;

  /** `ttl` in milliseconds. */
  constructor(redis: RedisConnection, keyPrefix: string, cluster: string, ttl: number) {
    this.#redis = redis;
    this.#prefix = `${keyPrefix}{${encodeURIComponent(cluster)}}:`;
    this.#ttl = ttl;
    this.changes = `${this.#prefix}changes`;
  }

  /** Leases the next free number; `undefined` when all are taken. */
  async lease(candidate: Candidate): Promise<number | undefined> {
    const cursor = `${this.#prefix}cursor`;
    // A cursor that is lost starts again from the clock, so that a number is not issued again soon.
    await this.#redis.set(cursor, Math.floor(Date.now() / 1000), "NX");
    for (let tried = 0; tried < NODE_NUMBERS; tried++) {
      const number = (await this.#redis.incr(cursor)) % NODE_NUMBERS;
      if ((await this.#redis.set(this.#number(number), claimOf(candidate), "PX", this.#ttl, "NX")) === "OK")
        return number;
    }
    return undefined;
  }

  /**
   * Renews `record`, or writes it anew when it is gone; `undefined` when a node that started earlier holds its number.
   * `announce` tells the others to look, as they must when the number has changed.
   */
  async renew(record: NodeRecord, announce: boolean): Promise<View | undefined> {
    const values = [claimOf(record), record.id, JSON.stringify(record), this.#ttl, announce ? 1 : 0];
    const reply = await this.#redis.eval(RENEW, 4, ...this.#keys(record), ...values);
    if (reply === null) return undefined;
    const [now, known, entries] = reply as [number, number, string[]];
    const ids = entries.filter((_, index) => index % 2 === 0);
    const ends = entries.filter((_, index) => index % 2 === 1).map(Number);
    const texts = await this.#redis.mget(ids.map((id) => this.#node(id)));
    return { known: known === 1, nodes: texts.flatMap(readRecord), soonestEnd: Math.min(...ends) - now };
  }

  async release(record: NodeRecord): Promise<void> {
    await this.#redis.eval(RELEASE, 4, ...this.#keys(record), claimOf(record), record.id);
  }

  #keys(record: NodeRecord): string[] {
    return [this.#number(record.number), this.#node(record.id), `${this.#prefix}nodes`, this.changes];
  }

  #number(number: number): string {
    return `${this.#prefix}number:${number}`;
  }

  #node(id: string): string {
    return `${this.#prefix}node:${id}`;
  }
}

function claimOf({ startedAt, id }: Candidate): string {
  return `${String(startedAt).padStart(16, "0")}:${id}`;
}

/** None for a node that died in between, and for what does not have the form of a record. */
function readRecord(text: string | null): NodeRecord[] {
  if (text === null) return [];
  try {
    const { data } = nodeRecordSchema.safeParse(JSON.parse(text));
    return data === undefined ? [] : [data];
  } catch {
    return [];
  }
}
