import { BlockList, isIP, isIPv6 } from "node:net";
import { plainAddress } from "../this-machine.ts";

/**
 * Tells who a client is: the peer of its TCP connection or, when that peer is a trusted proxy, whom the proxy names in
 * `X-Forwarded-For`. Anyone else's header is ignored, since a client can write what it likes.
 */
export class RemoteAddress {
  readonly #trusted = new BlockList();
  readonly #any: boolean;

  /** `trusted`: addresses or CIDR ranges, IPv4 or IPv6. */
  constructor(trusted: string[]) {
    this.#any = trusted.length > 0;
    for (const range of trusted) {
      const [address = "", prefix] = range.split("/");
      const family = isIPv6(address) ? "ipv6" : "ipv4";
      if (prefix === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(prefix), family);
    }
  }

  trusts(address: string): boolean {
    return this.#any && this.#trusted.check(address, isIPv6(address) ? "ipv6" : "ipv4");
  }

  /** `address:port` of the client; the port is 0 when only a proxy knows it. */
  of(peer: string, port: number, headers?: Headers): string {
    const address = plainAddress(peer);
    if (headers !== undefined && this.trusts(address)) {
      // The right-most address that is not one of our own proxies is the last one nobody could forge.
      const hops = (headers.get("x-forwarded-for") ?? "").split(",").map((hop) => plainAddress(hop.trim()));
      for (const hop of hops.reverse()) {
        if (isIP(hop) !== 0 && !this.trusts(hop)) return join(hop, 0);
      }
    }
    return join(address, port);
  }
}

function join(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
