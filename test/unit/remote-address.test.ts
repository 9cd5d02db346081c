import { expect, test } from "bun:test";
import { RemoteAddress } from "../../src/listen/remote-address.ts";

const remote = new RemoteAddress(["10.0.0.0/8", "fd00::/8"]);

function of(peer: string, forwarded?: string): string {
  return remote.of(peer, 5000, new Headers(forwarded === undefined ? {} : { "x-forwarded-for": forwarded }));
}

test("the peer, when nobody else is named or it is not trusted", () => {
  expect(of("192.0.2.1")).toBe("192.0.2.1:5000");
  expect(of("::ffff:192.0.2.1")).toBe("192.0.2.1:5000");
  expect(of("2001:db8::1")).toBe("[2001:db8::1]:5000");
  expect(of("192.0.2.1", "9.9.9.9")).toBe("192.0.2.1:5000");
  expect(of("10.0.0.5")).toBe("10.0.0.5:5000");
  expect(of("10.0.0.5", "")).toBe("10.0.0.5:5000");
  expect(remote.of("10.0.0.5", 5000)).toBe("10.0.0.5:5000");
});

test("the last address that a trusted proxy saw, with port 0", () => {
  expect(of("10.0.0.5", "192.0.2.1")).toBe("192.0.2.1:0");
  expect(of("::ffff:10.0.0.5", "192.0.2.1")).toBe("192.0.2.1:0");
  expect(of("fd00::1", "2001:db8::1")).toBe("[2001:db8::1]:0");
  expect(of("10.0.0.5", "1.1.1.1, 192.0.2.1, 10.0.0.6")).toBe("192.0.2.1:0");
  expect(of("10.0.0.5", "192.0.2.1:443")).toBe("192.0.2.1:0");
  expect(of("10.0.0.5", "[2001:db8::1]:443")).toBe("[2001:db8::1]:0");
  expect(of("10.0.0.5", "10.0.0.6")).toBe("10.0.0.5:5000");
});

test("what is no address hides what stands before it, which anybody may have written", () => {
  expect(of("10.0.0.5", "10.9.9.9, 1.1.1.1, unknown")).toBe("unknown:0");
});

test("a request that an untrusted proxy passed on is told apart", () => {
  const headers = new Headers({ "x-forwarded-for": "192.0.2.1" });
  expect(remote.hidden("127.0.0.1", headers)).toBe(true);
  expect(remote.hidden("10.0.0.5", headers)).toBe(false);
  expect(remote.hidden("127.0.0.1", new Headers())).toBe(false);
});
