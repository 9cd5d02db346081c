import { describe, expect, test } from "bun:test";
import { installUrl } from "../../src/lua/mix/url.ts";
import { evaluate, stateWith } from "../support/library.ts";

const L = stateWith(installUrl);

const empty = {
  scheme: "",
  opaque: "",
  user: "",
  host: "",
  path: "",
  raw_path: "",
  force_query: false,
  raw_query: "",
  fragment: "",
  raw_fragment: "",
};

// What Go's net/url documents for the same URLs; `query` is compared when it is not empty.
describe("parse_url", () => {
  test.each([
    ["/chat?foo=bar", { path: "/chat", raw_query: "foo=bar", query: { foo: "bar" } }],
    ["http://www.example.com", { scheme: "http", host: "www.example.com" }],
    ["HTTP://www.example.com/", { scheme: "http", host: "www.example.com", path: "/" }],
    ["http://h/file%20one%26two", { scheme: "http", host: "h", path: "/file one&two", raw_path: "/file%20one%26two" }],
    ["http://h/a%20b", { scheme: "http", host: "h", path: "/a b" }],
    ["http://h/a%2fb", { scheme: "http", host: "h", path: "/a/b", raw_path: "/a%2fb" }],
    ["http://h?", { scheme: "http", host: "h", force_query: true }],
    ["http://h?a=1?", { scheme: "http", host: "h", raw_query: "a=1?", query: { a: "1?" } }],
    ["ftp://web:p%20w@host:21/x", { scheme: "ftp", user: "web:p%20w", host: "host:21", path: "/x" }],
    ["http://j@ne:password@h/p", { scheme: "http", user: "j@ne:password", host: "h", path: "/p" }],
    ["http://a b@h/p", { error: "invalid userinfo" }],
    ["mailto:webmaster@example.com", { scheme: "mailto", opaque: "webmaster@example.com" }],
    ["magnet:?xt=1", { scheme: "magnet", raw_query: "xt=1", query: { xt: "1" } }],
    ["//user@foo/path?a=b", { user: "user", host: "foo", path: "/path", raw_query: "a=b", query: { a: "b" } }],
    ["///threeslashes", { path: "///threeslashes" }],
    ["a/b/c", { path: "a/b/c" }],
    ["*", { path: "*" }],
    ["", {}],
    ["http://[fe80::1]:8080/", { scheme: "http", host: "[fe80::1]:8080", path: "/" }],
    ["http://[fe80::1%25en0]/", { scheme: "http", host: "[fe80::1%en0]", path: "/" }],
    ["http://h/#a%20b", { scheme: "http", host: "h", path: "/", fragment: "a b" }],
    ["http://h/#a%21b", { scheme: "http", host: "h", path: "/", fragment: "a!b", raw_fragment: "a%21b" }],
    ["http://h/x?a=%zz&b=2", { scheme: "http", host: "h", path: "/x", raw_query: "a=%zz&b=2", query: { b: "2" } }],
    ["http://h/%zz", { error: 'invalid URL escape "%zz"' }],
    ["http://h/%a", { error: 'invalid URL escape "%a"' }],
    ["http://[::1", { error: "missing ']' in host" }],
    ["http://h:80a/", { error: 'invalid port ":80a" after host' }],
    ["http://a b/", { error: 'invalid character " " in host name' }],
    ["://x", { error: "missing protocol scheme" }],
    ["1http://x:y", { error: "first path segment in URL cannot contain colon" }],
    ["http://h/\n", { error: "invalid control character in URL" }],
  ] as [string, Record<string, unknown>][])("%j", (url, { error, query, ...parts }) => {
    const [value, message] = evaluate(L, `return mix.parse_url("${url.replace("\n", "\\n")}")`);
    expect(message).toBe(error as undefined);
    if (error === undefined) expect(value).toEqual({ ...empty, ...parts, query: query ?? [] });
    else expect(value).toBeUndefined();
  });

  test("a client may send any bytes", () => {
    expect(evaluate(L, `local u = mix.parse_url("/%ff?k=%fe"); return u.path, u.query.k`)).toEqual([
      Buffer.from([0x2f, 0xff]),
      Buffer.from([0xfe]),
    ]);
  });
});

describe("parse_str", () => {
  test.each([
    ["a=1&b=2", { a: "1", b: "2" }],
    ["a=1&a=2", { a: "1" }],
    ["name=%E4%BD%A0+x&e=&f", { name: "你 x", e: "", f: "" }],
    ["&&a=b&", { a: "b" }],
    ["a=b=c", { a: "b=c" }],
    ["", []],
    ["__proto__=x", JSON.parse('{"__proto__":"x"}')],
  ])("%j", (query, expected) => {
    expect(evaluate(L, `return mix.parse_str("${query}")`)).toEqual([expected]);
  });

  test.each([
    ["a=%", 'invalid URL escape "%"'],
    ["a=1;b=2", "invalid semicolon separator in query"],
  ])("%j is an error", (query, message) => {
    expect(evaluate(L, `return mix.parse_str("${query}")`)).toEqual([undefined, message]);
  });
});
