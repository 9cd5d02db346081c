import { networkInterfaces } from "node:os";

/** Interfaces come and go (containers, VPNs): looked up again after so many milliseconds. */
const FRESH_MS = 5000;

let own = new Set<string>();
let lookedUp = Number.NEGATIVE_INFINITY;

/**
 * Whether `address`, as a socket reports its peer, is on this machine: loopback, or one of the machine's own addresses, by
 * which programs here reach each other when they use the advertised one. Others cannot send from those.
 */
export function isThisMachine(address: string): boolean {
  const plain = plainAddress(address);
  if (plain === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(plain)) return true;
  const now = performance.now();
  if (now - lookedUp > FRESH_MS) {
    own = new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map((entry) => entry.address) ?? []));
    lookedUp = now;
  }
  return own.has(plain);
}

/** IPv4 peers of a socket bound to IPv6 appear as ::ffff:1.2.3.4. */
export function plainAddress(address: string): string {
  return address.toLowerCase().startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** The host others reach this node by, unless configured: the first address of a real interface, else loopback. */
export function outgoingAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (!address.internal && address.family === "IPv4") return address.address;
    }
  }
  return "127.0.0.1";
}
