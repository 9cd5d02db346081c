import { expect, test } from "bun:test";
import { isThisMachine, outgoingAddress, plainAddress } from "../../src/this-machine.ts";

test("loopback and the machine's own addresses are this machine", () => {
  for (const address of ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", outgoingAddress()]) {
    expect(isThisMachine(address)).toBe(true);
  }
  for (const address of ["192.0.2.1", "0.0.0.0", "::", "2001:db8::1", "1127.0.0.1", "127.0.0.1.evil.example", ""]) {
    expect(isThisMachine(address)).toBe(false);
  }
});

test("IPv4 in IPv6 form is written plainly", () => {
  expect(plainAddress("::ffff:10.1.2.3")).toBe("10.1.2.3");
  expect(plainAddress("::FFFF:10.1.2.3")).toBe("10.1.2.3");
  expect(plainAddress("2001:db8::1")).toBe("2001:db8::1");
});
