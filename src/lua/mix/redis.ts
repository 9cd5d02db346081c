import { messageOf } from "../../errors.ts";
import { failure, textArgument } from "../arguments.ts";
import { createMetatable } from "../metatable.ts";
import type { LuaState } from "../state.ts";
import { pushNull } from "../values.ts";
import { wait } from "../wait.ts";
import { RedisPool, type RedisPools } from "./redis-pool.ts";

/** Commands that change or occupy a connection, which here is shared with every other callback. */
const REFUSED = new Map(
  Object.entries({
    "it occupies the connection until something happens":
      "blpop brpop brpoplpush blmove blmpop bzpopmin bzpopmax bzmpop wait waitaof monitor sync psync",
    "it turns the connection into a subscriber":
      "subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe",
    "commands of other callbacks would come in between (use EVAL)": "multi exec discard watch unwatch",
    "it changes the connection (see luavm.redis in the configuration)":
      "select auth hello quit reset client readonly readwrite asking replconf",
  }).flatMap(([reason, commands]) => commands.split(" ").map((command): [string, string] => [command, reason])),
);

/** `mix.redis.connection(name)` → an object whose `command(…)` uses the pool of that name, or nil and an error. */
export function installRedis(L: LuaState, pools: RedisPools): void {
  const metatable = createMetatable(L, "redis", { command });
  L.newTable();
  L.pushFunction((state) => connection(state, pools, metatable));
  L.setField(-2, "connection");
  L.nameFunctions("mix.redis");
  L.setField(-2, "redis");
}

function connection(L: LuaState, pools: RedisPools, metatable: number): number {
  const name = textArgument(L, 1);
  const pool = pools.get(name);
  if (pool === undefined) {
    const known = pools.names.map((each) => JSON.stringify(each)).join(", ");
    return failure(L, `no redis ${JSON.stringify(name)} in luavm.redis, which has: ${known || "none"}`);
  }
  L.pushUserdata(pool);
  L.pushRef(metatable);
  L.setMetatable(-2);
  return 1;
}

/**
 * `redis:command(name, …)`: strings and numbers out; back come strings (bytes), integers and tables. A missing value is nil
 * without an error, inside a table mix.null; an error inside a table is `{ err = message }`.
 */
function command(L: LuaState): number {
  const pool = L.toUserdata(1);
  if (!(pool instanceof RedisPool))
    return L.argError(1, "a redis connection expected: call redis:command, with a colon");
  const name = textArgument(L, 2).toLowerCase();
  const args: (string | Buffer)[] = [];
  for (let arg = 3, count = L.getTop(); arg <= count; arg++) {
    const value = argument(L, arg);
    if (value === undefined)
      return failure(L, `redis ${name}: argument ${arg - 2} is a ${L.type(arg)}, expected a string or number`);
    args.push(value);
  }
  const reason = refusal(name, args);
  if (reason !== undefined) return failure(L, `redis ${name} is not possible here: ${reason}`);
  return wait(L, (done) => {
    pool.command(name, args).then(
      (reply) => done((state) => pushResult(state, reply)),
      (error) => done((state) => failure(state, messageOf(error))),
    );
    return undefined;
  });
}

function argument(L: LuaState, arg: number): string | Buffer | undefined {
  const type = L.type(arg);
  if (type === "number") {
    const number = L.toNumber(arg)!;
    // Lua would write 2^40 as 1099511627776.0, which INCRBY refuses.
    if (Number.isSafeInteger(number)) return String(number);
  } else if (type !== "string") return undefined;
  const bytes = L.toBytes(arg)!;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function refusal(name: string, args: (string | Buffer)[]): string | undefined {
  return REFUSED.get(blocks(name, args) ? "blpop" : name);
}

/** XREAD and XREADGROUP wait when BLOCK is among the options, which stand before STREAMS. */
function blocks(name: string, args: (string | Buffer)[]): boolean {
  if (name !== "xread" && name !== "xreadgroup") return false;
  const words = args.map((arg) => String(arg).toLowerCase());
  return words.slice(0, words.indexOf("streams")).includes("block");
}

function pushResult(L: LuaState, reply: unknown): number {
  if (reply === null) L.pushNil();
  else pushReply(L, reply);
  return 1;
}

function pushReply(L: LuaState, reply: unknown): void {
  if (reply === null) pushNull(L);
  else if (reply instanceof Uint8Array) L.pushBytes(reply);
  else if (typeof reply === "number") L.pushNumber(reply);
  else if (Array.isArray(reply)) {
    L.newTable();
    for (let i = 0; i < reply.length; i++) {
      pushReply(L, reply[i]);
      L.rawSetIndex(-2, i + 1);
    }
  } else if (reply instanceof Error) {
    L.newTable();
    L.pushText(reply.message);
    L.setField(-2, "err");
  } else L.pushText(String(reply));
}
