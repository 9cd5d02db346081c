import { Cluster, Redis } from "ioredis";
import { messageOf } from "../errors.ts";
import { parseAddress } from "./address.ts";
import { backOff } from "./back-off.ts";

/** Where Redis is: one server (`url`), Sentinel (`sentinels`, `master`) or Cluster (`nodes`); lists hold `host:port`. */
export interface RedisTarget {
  url?: string | undefined;
  sentinels?: string[] | undefined;
  /** The name Sentinel knows the master by. */
  master?: string | undefined;
  nodes?: string[] | undefined;
  username?: string | undefined;
  password?: string | undefined;
}

/** A connection that is not made yet (`connect`); once made, it is made again whenever it is lost. */
export type RedisConnection = Redis | Cluster;

/** Milliseconds. */
const CONNECT_LIMIT = 5000;
const LONGEST_BACK_OFF = 2000;

/**
 * Nothing waits for a connection: a command fails at once while there is none, and after a third of `ttl` (milliseconds)
 * when the server does not answer. A server silent for twice that long is dialled anew.
 */
export function createRedisConnection(target: RedisTarget, ttl: number): RedisConnection {
  const { url, sentinels, master, nodes } = target;
  const retry = (times: number) => backOff(times, Math.min(LONGEST_BACK_OFF, ttl / 4));
  const options = {
    lazyConnect: true,
    commandTimeout: ttl / 3,
    socketTimeout: (ttl * 2) / 3,
    connectTimeout: CONNECT_LIMIT,
    // What was not answered on a connection that is lost is not sent again: the next renewal says it all.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
  };
  if (nodes !== undefined) {
    return new Cluster(nodes.map(parseAddress), {
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: retry,
      redisOptions: options,
    });
  }
  const single = { ...options, enableOfflineQueue: false, retryStrategy: retry };
  if (sentinels !== undefined) {
    return new Redis({
      ...single,
      sentinels: sentinels.map(parseAddress),
      name: master ?? "mymaster",
      sentinelRetryStrategy: retry,
    });
  }
  return new Redis(url ?? "redis://127.0.0.1:6379", single);
}

/** What ioredis says in terms of its own options and commands, and what has happened. */
const IN_PLAIN_WORDS: [RegExp, string][] = [
  [/enableOfflineQueue|Connection is closed|is disconnect/, "it is not connected"],
  [/max retries per request/, "the connection was lost before it answered"],
  [/Command timed out|^Socket timeout/, "it does not answer"],
];

/** Why a command failed, or what a connection's `error` told, for log lines and errors. */
export function redisReason(error: unknown): string {
  const message = messageOf(error);
  return IN_PLAIN_WORDS.find(([pattern]) => pattern.test(message))?.[1] ?? message;
}

/** How log lines and errors name the target: its addresses, never a password. */
export function describeTarget({ url, sentinels, nodes }: RedisTarget): string {
  if (nodes !== undefined) return nodes.join(", ");
  if (sentinels !== undefined) return `sentinels ${sentinels.join(", ")}`;
  const { hostname, port } = new URL(url ?? "redis://127.0.0.1");
  return `${hostname}:${port || 6379}`;
}
