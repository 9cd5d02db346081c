import { messageOf } from "../../errors.ts";
import { failure, shownArgument, textArgument } from "../arguments.ts";
import type { LuaState } from "../state.ts";
import { wait } from "../wait.ts";
import { parseDuration } from "./duration.ts";
import { type HttpRequest, type HttpResponse, sendRequest } from "./http-request.ts";

const DEFAULT_TIMEOUT = 30_000;
const LONGEST_TIMEOUT = 24 * 3_600_000;
const DEFAULT_LARGEST_BODY = 16 * 1024 * 1024;
const OPTIONS = ["query", "headers", "cookies", "auth", "body", "timeout", "max_body_size"];

/** What is wrong with the arguments of a request, in words for the script. */
class OptionError extends Error {}

/** `mix.http.request(method, url [, options])` → response, err; only the running callback waits for it. */
export function installHttp(L: LuaState): void {
  L.newTable();
  pushHeadersMetatable(L);
  const headersMetatable = L.ref();
  L.pushFunction((state) => request(state, headersMetatable));
  L.setField(-2, "request");
  L.nameFunctions("mix.http");
  L.setField(-2, "http");
}

function request(L: LuaState, headersMetatable: number): number {
  let prepared: HttpRequest;
  try {
    prepared = readRequest(L);
  } catch (error) {
    if (error instanceof OptionError || error instanceof TypeError) return failure(L, `http: ${error.message}`);
    throw error;
  }
  return wait(L, (done) => {
    const abort = new AbortController();
    sendRequest(prepared, abort).then(
      (response) => done((state) => pushResponse(state, response, headersMetatable)),
      (error) => done((state) => failure(state, messageOf(error))),
    );
    return () => abort.abort();
  });
}

function readRequest(L: LuaState): HttpRequest {
  const method = textArgument(L, 1).toUpperCase();
  const url = readUrl(textArgument(L, 2));
  const request: HttpRequest = {
    method,
    url: url.href,
    headers: new Headers(),
    body: undefined,
    timeout: DEFAULT_TIMEOUT,
    largestBody: DEFAULT_LARGEST_BODY,
  };
  const type = L.type(3);
  if (type === "none" || type === "nil") return request;
  if (type !== "table") throw new OptionError(`the options are a ${type}, expected a table`);
  L.setTop(3);
  refuseUnknownOptions(L);
  readHeaders(L, request.headers);
  readCookies(L, request.headers);
  readAuth(L, request.headers);
  const query = readQuery(L);
  if (query !== "") url.search += url.search === "" ? query : `&${query}`;
  request.url = url.href;
  request.body = readBody(L);
  request.timeout = readTimeout(L);
  request.largestBody = readLargestBody(L);
  return request;
}

function refuseUnknownOptions(L: LuaState): void {
  L.pushNil();
  while (L.next(3)) {
    L.pop();
    const name = shownArgument(L, -1);
    if (!OPTIONS.some((option) => L.toText(-1) === option)) {
      throw new OptionError(`there is no option ${name}, expected ${OPTIONS.join(", ")}`);
    }
  }
}

function readUrl(text: string): URL {
  if (!URL.canParse(text)) throw new OptionError(`${JSON.stringify(text)} is not a URL`);
  const url = new URL(text);
  // Bun's fetch would also open file:, data: and blob: URLs, which are no business of a script.
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new OptionError(`the URL begins with ${url.protocol}, expected http: or https:`);
  }
  return url;
}

function readHeaders(L: LuaState, headers: Headers): void {
  for (const [name, value] of pairs(L, "headers")) headers.append(name, value);
}

function readCookies(L: LuaState, headers: Headers): void {
  const cookies: string[] = [];
  for (const [name, value] of pairs(L, "cookies")) {
    if (!/^[^\s=;,"]+$/.test(name) || /[;\r\n]/.test(value)) {
      throw new OptionError(`cookie ${JSON.stringify(name)} has a character that cookies cannot have`);
    }
    cookies.push(`${name}=${value}`);
  }
  if (cookies.length > 0) headers.append("cookie", cookies.join("; "));
}

function readAuth(L: LuaState, headers: Headers): void {
  const auth = new Map(pairs(L, "auth"));
  if (auth.size === 0) return;
  const username = auth.get("username");
  const password = auth.get("password");
  if (username === undefined || password === undefined) {
    throw new OptionError("auth expects username and password");
  }
  headers.set("authorization", `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`);
}

/** A table of names and values, or a string that is encoded already. */
function readQuery(L: LuaState): string {
  const type = L.getField(3, "query");
  const text = type === "string" ? L.toText(-1)! : undefined;
  L.pop();
  return text ?? new URLSearchParams(pairs(L, "query")).toString();
}

function readBody(L: LuaState): Uint8Array<ArrayBuffer> | undefined {
  const type = L.getField(3, "body");
  const bytes = L.toBytes(-1);
  L.pop();
  if (type === "nil") return undefined;
  if (bytes === undefined)
    throw new OptionError(`the body is a ${type}, expected a string (mix.json_encode makes one)`);
  // fetch may read it after the script has gone on, and the string's bytes are the VM's.
  return bytes.slice();
}

function readTimeout(L: LuaState): number {
  const type = L.getField(3, "timeout");
  const number = type === "number" ? L.toNumber(-1)! * 1000 : undefined;
  const text = L.toText(-1);
  L.pop();
  if (type === "nil") return DEFAULT_TIMEOUT;
  const timeout = number ?? parseDuration(text ?? "");
  if (timeout === undefined || !(timeout > 0 && timeout <= LONGEST_TIMEOUT)) {
    throw new OptionError(
      `the timeout is ${text ?? `a ${type}`}, expected seconds or "500ms", "10s", "1h", up to 24 hours`,
    );
  }
  return timeout;
}

function readLargestBody(L: LuaState): number {
  const type = L.getField(3, "max_body_size");
  const number = L.toNumber(-1);
  L.pop();
  if (type === "nil") return DEFAULT_LARGEST_BODY;
  if (number === undefined || !(number >= 0)) throw new OptionError("max_body_size expects a number of bytes");
  return number;
}

/** The entries of an option that is a table of strings and numbers; none when it is not given. */
function pairs(L: LuaState, option: string): [name: string, value: string][] {
  const found: [string, string][] = [];
  const type = L.getField(3, option);
  if (type !== "nil" && type !== "table") throw new OptionError(`${option} is a ${type}, expected a table`);
  if (type === "table") {
    L.pushNil();
    while (L.next(-2)) {
      const name = L.type(-2) === "string" ? L.toText(-2) : undefined;
      const value = L.toText(-1);
      if (name === undefined || value === undefined) {
        throw new OptionError(
          name === undefined
            ? `${option}: a key is ${shownArgument(L, -2)}, expected a name`
            : `${option}: ${name} is a ${L.type(-1)}, expected a string or number`,
        );
      }
      found.push([name, value]);
      L.pop();
    }
  }
  L.pop();
  return found;
}

function pushResponse(L: LuaState, response: HttpResponse, headersMetatable: number): number {
  L.newTable();
  L.pushNumber(response.status);
  L.setField(-2, "status_code");
  pushHeaders(L, response.headers);
  L.pushRef(headersMetatable);
  L.setMetatable(-2);
  L.setField(-2, "headers");
  pushCookies(L, response.headers);
  L.setField(-2, "cookies");
  L.pushBytes(response.body);
  L.setField(-2, "body");
  L.pushNumber(response.body.length);
  L.setField(-2, "body_size");
  L.pushText(response.url);
  L.setField(-2, "url");
  return 1;
}

/** Names in lower case; several values of one name are joined by ", ". */
function pushHeaders(L: LuaState, headers: Headers): void {
  L.newTable();
  headers.forEach((value, name) => {
    if (name !== "set-cookie") setText(L, name, value);
  });
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) setText(L, "set-cookie", cookies.join(", "));
}

/** The names and values of Set-Cookie, without their attributes. */
function pushCookies(L: LuaState, headers: Headers): void {
  L.newTable();
  for (const cookie of headers.getSetCookie()) {
    const [, name, value] = /^\s*([^=;]+?)\s*=\s*"?([^;]*?)"?\s*(?:;|$)/.exec(cookie) ?? [];
    if (name !== undefined) setText(L, name, value!);
  }
}

/** Lets `headers["Content-Type"]` find content-type: scripts written for Go know the names that way. */
function pushHeadersMetatable(L: LuaState): void {
  L.newTable();
  L.pushFunction((state) => {
    const name = state.toText(2)?.toLowerCase();
    if (name === undefined) return 0;
    state.pushText(name);
    state.rawGet(1);
    return 1;
  });
  L.setField(-2, "__index");
}

/** Names come from outside: no interned keys. */
function setText(L: LuaState, name: string, value: string): void {
  L.pushText(name);
  L.pushText(value);
  L.rawSet(-3);
}
