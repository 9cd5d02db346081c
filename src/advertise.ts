import { networkInterfaces } from "node:os";

/** The host others reach this node by, unless configured: the first address of a real interface, else loopback. */
export function outgoingAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const address of addresses ?? []) {
      if (!address.internal && address.family === "IPv4") return address.address;
    }
  }
  return "127.0.0.1";
}
