import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Server } from "bun";
import { until } from "../support/eventually.ts";
import { type LuaClient, LuaConsole } from "../support/lua-console.ts";
import { freePort } from "../support/ports.ts";

const folder = mkdtempSync(join(tmpdir(), "connmix-http-"));
let plain: Server<undefined>;
let secure: Server<undefined>;
let unknown: Server<undefined>;
let console: LuaConsole;
let client: LuaClient;
/** The queries of the requests for /slow that arrived, and of those that their client gave up. */
const arrived: string[] = [];
const aborted: string[] = [];

function certificate(name: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert],
  ]);
  expect(made.exitCode).toBe(0);
  return { cert, key };
}

/** Echoes the request as JSON; some paths do more. */
async function serve(request: Request): Promise<Response> {
  const url = new URL(request.url);
  const redirect = /^\/redirect\/(\d+)$/.exec(url.pathname);
  if (redirect !== null) {
    const left = Number(redirect[1]) - 1;
    return new Response(null, { status: 302, headers: { location: left > 0 ? `/redirect/${left}` : "/final?x=1" } });
  }
  switch (url.pathname) {
    case "/elsewhere":
      return Response.redirect(`http://localhost:${plain.port}/echo`);
    case "/file":
      return new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } });
    case "/cookies": {
      const headers = new Headers({ "X-Custom": "yes" });
      headers.append("Set-Cookie", "session=abc=123; Path=/; HttpOnly");
      headers.append("Set-Cookie", 'quoted="a b"; Max-Age=10');
      return new Response("c", { headers });
    }
    case "/slow":
      arrived.push(url.search);
      request.signal.addEventListener("abort", () => aborted.push(url.search));
      await Bun.sleep(8000);
      return new Response("late");
    case "/stalls":
      return new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(new TextEncoder().encode("drop"));
            await Bun.sleep(500);
          },
        }),
      );
    case "/bytes":
      return new Response(new Uint8Array(Number(url.searchParams.get("n"))).fill(255));
    case "/gzip":
      return new Response(Bun.gzipSync(new Uint8Array(1_000_000)), { headers: { "Content-Encoding": "gzip" } });
    case "/status":
      return new Response(null, { status: Number(url.searchParams.get("code")) });
    default:
      return Response.json({
        method: request.method,
        path: url.pathname,
        query: url.search,
        headers: Object.fromEntries(request.headers),
        body: Buffer.from(await request.arrayBuffer()).toString("latin1"),
      });
  }
}

beforeAll(async () => {
  const trusted = certificate("trusted");
  const stranger = certificate("stranger");
  const tls = ({ cert, key }: typeof trusted) => ({ cert: Bun.file(cert), key: Bun.file(key) });
  const common = { port: 0, hostname: "127.0.0.1", idleTimeout: 30, fetch: serve };
  plain = Bun.serve(common);
  secure = Bun.serve({ ...common, tls: tls(trusted) });
  unknown = Bun.serve({ ...common, tls: tls(stranger) });
  console = await LuaConsole.start({}, { NODE_EXTRA_CA_CERTS: trusted.cert });
  client = await console.client();
}, 30_000);

afterAll(async () => {
  await console?.stop();
  for (const server of [plain, secure, unknown]) await server?.stop(true);
  rmSync(folder, { recursive: true, force: true });
});

const at = (path: string, server = plain) => `${server === plain ? "http" : "https"}://127.0.0.1:${server.port}${path}`;

// biome-ignore lint/suspicious/noExplicitAny: responses of every shape are compared
async function request(method: string, url: string, options = "nil", from = client): Promise<any[]> {
  return from.run(`return mix.http.request("${method}", "${url}", ${options})`);
}

/** What the server saw of a request. */
// biome-ignore lint/suspicious/noExplicitAny: the echo of a request
async function seen(method: string, path: string, options?: string): Promise<any> {
  const [response, error] = await request(method, at(path), options);
  expect(error).toBeUndefined();
  return JSON.parse(response.body);
}

describe("the response", () => {
  test("has status, headers, cookies, body, size and address", async () => {
    const [response] = await request("GET", at("/cookies"));
    expect(response).toEqual({
      status_code: 200,
      headers: expect.objectContaining({ "x-custom": "yes", "content-length": "1" }),
      cookies: { session: "abc=123", quoted: "a b" },
      body: "c",
      body_size: 1,
      url: at("/cookies"),
    });
  });

  test("header names are found however they are written", async () => {
    expect(
      await client.run(`local h = mix.http.request("GET", "${at("/cookies")}").headers
        return h["X-Custom"], h["x-custom"], h["No-Such"]`),
    ).toEqual(["yes", "yes", null]);
  });

  test("the body is bytes", async () => {
    expect(
      await client.run(
        `local r = mix.http.request("GET", "${at("/bytes?n=3")}"); return r.body == "\\xff\\xff\\xff", r.body_size`,
      ),
    ).toEqual([true, 3]);
  });

  test("an error status is a response", async () => {
    for (const code of [204, 404, 500]) {
      const [response] = await request("GET", at(`/status?code=${code}`));
      expect(response).toMatchObject({ status_code: code, body: "", body_size: 0 });
    }
  });
});

describe("options", () => {
  test.each(["GET", "post", "PUT", "PATCH", "DELETE", "OPTIONS"])("method %s", async (method) => {
    expect((await seen(method, "/")).method).toBe(method.toUpperCase());
  });

  test("query, as a table or encoded, beside what the URL has", async () => {
    expect((await seen("GET", "/q?a=1", `{ query = { ["b c"] = "ä&", } }`)).query).toBe("?a=1&b+c=%C3%A4%26");
    expect((await seen("GET", "/q", `{ query = "x=1&y=2" }`)).query).toBe("?x=1&y=2");
    expect((await seen("GET", "/q?a=1", "{}")).query).toBe("?a=1");
  });

  test("headers and cookies", async () => {
    const { headers } = await seen(
      "GET",
      "/",
      `{ headers = { ["X-Token"] = "t", Accept = 1 }, cookies = { a = "1" } }`,
    );
    expect(headers).toMatchObject({ "x-token": "t", accept: "1", cookie: "a=1" });
  });

  test("body, any bytes", async () => {
    const sent = await seen(
      "POST",
      "/",
      `{ body = "\\0\\xff", headers = { ["Content-Type"] = "application/x-test" } }`,
    );
    expect(sent.body).toBe("\0\xff");
    expect(sent.headers["content-type"]).toBe("application/x-test");
  });

  test("auth", async () => {
    const { headers } = await seen("GET", "/", `{ auth = { username = "bö", password = "p:w" } }`);
    expect(headers.authorization).toBe(`Basic ${Buffer.from("bö:p:w").toString("base64")}`);
  });

  test.each([
    ["{ timeout = 0.2 }", "200 ms"],
    ["{ timeout = '150ms' }", "150 ms"],
    ["{ timeout = '0.1s' }", "100 ms"],
  ])("%s", async (options, shown) => {
    const started = performance.now();
    const [value, error] = await request("GET", at("/slow"), options);
    expect(value).toBeNull();
    expect(error).toBe(`http GET ${at("/slow")}: no complete response within ${shown}`);
    expect(performance.now() - started).toBeLessThan(4000);
  });

  test("the time-out covers the body", async () => {
    expect((await request("GET", at("/stalls"), "{ timeout = '300ms' }"))[1]).toContain("within 300 ms");
  });

  test.each([
    ["'x'", "the options are a string, expected a table"],
    ["{ headers = 'x' }", "headers is a string, expected a table"],
    ["{ headers = { a = {} } }", "headers: a is a table, expected a string or number"],
    ["{ headers = { ['a b'] = 'x' } }", "Invalid header name"],
    ["{ headers = { a = 'x\\r\\ny: z' } }", "Header 'a' has invalid value"],
    ["{ cookies = { a = 'x;y' } }", 'cookie "a" has a character that cookies cannot have'],
    ["{ body = {} }", "the body is a table, expected a string (mix.json_encode makes one)"],
    ["{ timeout = 'soon' }", 'the timeout is soon, expected seconds or "500ms", "10s", "1h"'],
    ["{ timeout = -1 }", "the timeout is -1"],
    ["{ timeout = {} }", "the timeout is a table"],
    ["{ auth = { username = 'x' } }", "auth expects username and password"],
    ["{ max_body_size = 'x' }", "max_body_size expects a number of bytes"],
    ["{ header = {} }", 'there is no option "header", expected query, headers, cookies'],
    ["{ 'x' }", "there is no option 1"],
    ["{ headers = { 'Accept: text/html' } }", "headers: a key is 1, expected a name"],
  ])("%s is an error", async (options, message) => {
    const [value, error] = await request("GET", at("/"), options);
    expect(value).toBeNull();
    expect(error).toStartWith("http: ");
    expect(error).toContain(message);
  });

  test.each([
    ["FOO", "http://127.0.0.1/", "the method FOO is not supported"],
    ["GET", "file:///etc/passwd", "the URL begins with file:, expected http: or https:"],
    ["GET", "data:text/plain,x", "the URL begins with data:"],
    ["GET", "no url", '"no url" is not a URL'],
  ])("%s %s is an error", async (method, url, message) => {
    const [value, error] = await request(method, url);
    expect(value).toBeNull();
    expect(error).toContain(message);
  });
});

describe("on the way", () => {
  test("redirects are followed, the address is the final one", async () => {
    const [response] = await request("GET", at("/redirect/3"));
    expect(response.url).toBe(at("/final?x=1"));
    expect(JSON.parse(response.body).path).toBe("/final");
  });

  test("credentials do not follow a redirect to another host", async () => {
    const [response] = await request(
      "GET",
      at("/elsewhere"),
      `{ auth = { username = "u", password = "p" }, cookies = { s = "1" } }`,
    );
    const { headers } = JSON.parse(response.body);
    expect(headers.authorization).toBeUndefined();
    expect(headers.cookie).toBeUndefined();
  });

  test("redirects in a circle and to files end in an error", async () => {
    expect((await request("GET", at("/redirect/1000")))[1]).toContain("redirected too many times");
    expect((await request("GET", at("/file")))[1]).toContain("UnsupportedRedirectProtocol");
  });

  test("a refused connection and an unknown host are errors", async () => {
    expect((await request("GET", `http://127.0.0.1:${freePort()}/x?token=secret`))[1]).toMatch(
      /^http GET http:\/\/127\.0\.0\.1:\d+\/x: ECONNREFUSED/,
    );
    expect((await request("GET", "http://nosuchhost.invalid/"))[1]).toContain("http GET http://nosuchhost.invalid/: ");
  });

  test("TLS: a certificate that is trusted, and one that is not", async () => {
    expect((await request("GET", at("/", secure)))[0].status_code).toBe(200);
    expect((await request("GET", at("/", unknown)))[1]).toMatch(/self.signed certificate/);
  });

  test("bodies have a limit, before and after decompression", async () => {
    expect((await request("GET", at("/bytes?n=1000"), "{ max_body_size = 999 }"))[1]).toContain(
      "larger than 999 bytes",
    );
    expect((await request("GET", at("/gzip"), "{ max_body_size = 100000 }"))[1]).toContain("larger than 100000 bytes");
    expect((await request("GET", at("/bytes?n=17000000")))[1]).toContain("larger than 16777216 bytes");
    expect(await client.run(`return mix.http.request("GET", "${at("/bytes?n=16000000")}").body_size`)).toEqual([
      16_000_000,
    ]);
  });

  test("only the client that waits is suspended, many wait at once", async () => {
    const others = await Promise.all(Array.from({ length: 10 }, () => console.client()));
    const waiting = others.map((other) => request("GET", at("/slow"), "{ timeout = '1s' }", other));
    expect(await client.run("return 'at once'")).toEqual(["at once"]);
    for (const [value, error] of await Promise.all(waiting)) {
      expect(value).toBeNull();
      expect(error).toContain("within 1000 ms");
    }
    for (const other of others) other.socket.close();
  });

  test("a client that goes away takes its request with it", async () => {
    const other = await console.client();
    other.socket.send(`mix.http.request("GET", "${at("/slow?leaving")}")`);
    await until(() => arrived.includes("?leaving"));
    expect(aborted).not.toContain("?leaving");
    other.socket.terminate();
    await until(() => aborted.includes("?leaving"), 5000);
  });
});
