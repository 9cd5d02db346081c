import { describe, expect, test } from "bun:test";
import { Access, type Grant, type Refusal, type User } from "../../src/api/access.ts";
import { corsHeaders, originRefusal } from "../../src/api/origin.ts";

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function user(fields: Partial<User> = {}): User {
  return { username: "app", password: "secret", roles: ["read", "write"], host: "*", ...fields };
}

function granted(result: Grant | Refusal): Grant {
  if ("status" in result) throw new Error(result.message);
  return result;
}

function refused(result: Grant | Refusal): Refusal {
  if (!("status" in result)) throw new Error("refusal expected");
  return result;
}

describe("without users", () => {
  test("loopback clients may do everything, others are told what to do", () => {
    const access = new Access([]);
    expect(access.protectedMode).toBe(true);
    for (const address of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
      expect(granted(access.check(address, null))).toMatchObject({ read: true, write: true });
    }
    const refusal = refused(access.check("::ffff:10.0.0.9", null));
    expect(refusal.status).toBe(403);
    expect(refusal.message).toContain("10.0.0.9");
    expect(refusal.message).toContain("access.users");
  });
});

describe("with users", () => {
  test("credentials are needed, also from loopback", () => {
    const access = new Access([user()]);
    expect(refused(access.check("127.0.0.1", null)).status).toBe(401);
    expect(refused(access.check("127.0.0.1", "Bearer x")).status).toBe(401);
    expect(refused(access.check("127.0.0.1", "Basic !!!")).status).toBe(401);
    expect(refused(access.check("127.0.0.1", basic("app", "wrong"))).status).toBe(401);
    expect(refused(access.check("127.0.0.1", basic("other", "secret"))).status).toBe(401);
    expect(granted(access.check("10.1.1.1", basic("app", "secret"))).user?.username).toBe("app");
  });

  test("passwords may hold colons and any script", () => {
    const access = new Access([user({ password: "a:b:密码" })]);
    expect(granted(access.check("10.1.1.1", basic("app", "a:b:密码"))).write).toBe(true);
  });

  test("roles are as configured", () => {
    const access = new Access([user({ roles: ["read"] })]);
    expect(granted(access.check("10.1.1.1", basic("app", "secret")))).toMatchObject({ read: true, write: false });
  });

  test.each([
    ["*", "203.0.113.5", true],
    ["10.0.*.*", "10.0.3.4", true],
    ["10.0.*.*", "::ffff:10.0.3.4", true],
    ["10.0.*.*", "10.1.3.4", false],
    ["10.0.*.*", "110.0.3.4", false],
    ["10.0.*.*", "10.0.3.4.5", false],
    ["10.0.0.5", "10.0.0.5", true],
    ["10.0.0.5", "10x0x0x5", false],
    ["fd00::*", "fd00::7", true],
    ["FD00::*", "fd00::7", true],
    ["fd00::*", "fd01::7", false],
  ])("host pattern %s and client %s", (host, address, allowed) => {
    const result = new Access([user({ host })]).check(address, basic("app", "secret"));
    if (allowed) granted(result);
    else expect(refused(result).status).toBe(403);
    expect("status" in result).toBe(!allowed);
  });

  test("one name may have several entries", () => {
    const access = new Access([user({ host: "10.0.0.*", roles: ["read"] }), user({ host: "10.0.1.*" })]);
    expect(granted(access.check("10.0.1.7", basic("app", "secret"))).write).toBe(true);
    expect(granted(access.check("10.0.0.7", basic("app", "secret"))).write).toBe(false);
  });
});

describe("a change of users", () => {
  test("is told, and shows in renewed grants", () => {
    const access = new Access([user()]);
    const grant = granted(access.check("10.0.0.1", basic("app", "secret")));
    let told = 0;
    const unwatch = access.watch(() => told++);
    access.replace([user({ roles: ["read"] })]);
    expect(access.renew(grant, "10.0.0.1")).toMatchObject({ read: true, write: false });
    access.replace([user({ password: "new" })]);
    expect(access.renew(grant, "10.0.0.1")).toBeUndefined();
    access.replace([user({ host: "10.0.1.*" })]);
    expect(access.renew(grant, "10.0.0.1")).toBeUndefined();
    access.replace([]);
    expect(access.renew(grant, "10.0.0.1")).toBeUndefined();
    expect(access.renew(grant, "127.0.0.1")).toMatchObject({ write: true });
    unwatch();
    access.replace([user()]);
    expect(told).toBe(4);
    expect(access.renew(granted(new Access([]).check("127.0.0.1", null)), "127.0.0.1")).toBeUndefined();
  });
});

describe("a web page's origin", () => {
  const headers = (host: string, origin?: string) => new Headers(origin === undefined ? { host } : { host, origin });

  test.each([
    ["a program without an origin", "127.0.0.1:6789", undefined, true],
    ["a program that sends a star", "127.0.0.1:6789", "*", true],
    ["the console's own page", "127.0.0.1:6789", "http://127.0.0.1:6789", true],
    ["its own page on a default port", "localhost:80", "http://localhost", true],
    ["its own page over TLS", "localhost", "https://localhost", true],
    ["IPv6", "[::1]:6789", "http://[::1]:6789", true],
    ["another site", "127.0.0.1:6789", "https://evil.example", false],
    ["another port of the same host", "127.0.0.1:6789", "http://127.0.0.1:6787", true],
    ["another port of another local host", "127.0.0.1:6789", "http://127.0.0.2:6787", false],
    ["a sandboxed frame", "127.0.0.1:6789", "null", false],
    ["a name that was rebound to 127.0.0.1", "evil.example:6789", "http://evil.example:6789", false],
    ["a rebound name, plain GET", "evil.example:6789", undefined, false],
    ["a name that only begins like localhost", "localhost.evil.example", undefined, false],
  ])("%s", (_name, host, origin, passes) => {
    expect(originRefusal(headers(host, origin), [], true) === undefined).toBe(passes);
  });

  test("with users configured any host name is good, foreign pages still are not", () => {
    expect(originRefusal(headers("api.example:6789"), [], false)).toBeUndefined();
    expect(originRefusal(headers("api.example:6789", "https://evil.example"), [], false)).toContain("evil.example");
    expect(originRefusal(headers("127.0.0.1:6789", "http://127.0.0.1:6787"), [], false)).toContain(":6787");
  });

  test("allowed origins pass and may read the answers", () => {
    const page = headers("127.0.0.1:6789", "https://tool.example");
    expect(originRefusal(page, ["https://tool.example"], true)).toBeUndefined();
    expect(originRefusal(page, "*", true)).toBeUndefined();
    expect(corsHeaders(page, "*")?.["access-control-allow-origin"]).toBe("https://tool.example");
    expect(corsHeaders(page, [])).toBeUndefined();
    expect(corsHeaders(headers("127.0.0.1:6789"), "*")).toBeUndefined();
  });
});
