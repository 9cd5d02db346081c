import { bytesArgument, failure } from "../arguments.ts";
import { latin1 } from "../latin1.ts";
import type { LuaState } from "../state.ts";
import { parseQuery, parseUrl, UrlError } from "./url-parts.ts";

/** Bytes of the longest URL or query that is taken apart: it is done in one go. */
const LONGEST = 1024 * 1024;

/** `mix.parse_url(url)` and `mix.parse_str(query)`. Of a name that occurs several times the first value counts. */
export function installUrl(L: LuaState): void {
  L.pushFunction(parseUrlTable);
  L.setField(-2, "parse_url");
  L.pushFunction(parseStr);
  L.setField(-2, "parse_str");
}

function parseUrlTable(L: LuaState): number {
  const url = latin1(bytesArgument(L, 1));
  if (url.length > LONGEST) return failure(L, `a URL of ${url.length} bytes is too long, the limit is ${LONGEST}`);
  return orFailure(L, () => {
    const parts = parseUrl(url);
    L.newTable();
    setBytes(L, "scheme", parts.scheme);
    setBytes(L, "opaque", parts.opaque);
    setBytes(L, "user", parts.user);
    setBytes(L, "host", parts.host);
    setBytes(L, "path", parts.path);
    setBytes(L, "raw_path", parts.rawPath);
    L.pushBoolean(parts.forceQuery);
    L.setField(-2, "force_query");
    setBytes(L, "raw_query", parts.rawQuery);
    setBytes(L, "fragment", parts.fragment);
    setBytes(L, "raw_fragment", parts.rawFragment);
    pushPairs(L, parseQuery(parts.rawQuery, true));
    L.setField(-2, "query");
  });
}

function parseStr(L: LuaState): number {
  const query = latin1(bytesArgument(L, 1));
  if (query.length > LONGEST)
    return failure(L, `a query of ${query.length} bytes is too long, the limit is ${LONGEST}`);
  return orFailure(L, () => pushPairs(L, parseQuery(query)));
}

function orFailure(L: LuaState, push: () => void): number {
  try {
    push();
    return 1;
  } catch (error) {
    if (error instanceof UrlError) return failure(L, error.message);
    throw error;
  }
}

function pushPairs(L: LuaState, pairs: [name: string, value: string][]): void {
  L.newTable();
  // Backwards, so that the first of several stays. Names come from clients: no interned keys.
  for (const [name, value] of pairs.reverse()) {
    L.pushBytes(Buffer.from(name, "latin1"));
    L.pushBytes(Buffer.from(value, "latin1"));
    L.rawSet(-3);
  }
}

function setBytes(L: LuaState, key: string, value: string): void {
  L.pushBytes(Buffer.from(value, "latin1"));
  L.setField(-2, key);
}
