import { BlockList, isIP, isIPv6 } from "node:net";
import { plainAddress } from "../this-machine.ts";

const FORWARDED_FOR = "x-forwarded-for";

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

  /** The client's address; `unknown` when a trusted proxy named it in a way that is no address. */
  address(peer: string, headers: Headers): string {
    const address = plainAddress(peer);
    if (!this.trusts(address)) return address;
    // The right-most address that is not one of our own proxies is the last one nobody could forge.
    for (const hop of (headers.get(FORWARDED_FOR) ?? "").split(",").reverse()) {
      const named = hopAddress(hop.trim());
      if (named === "") continue;
      if (isIP(named) === 0) return "unknown";
      if (!this.trusts(named)) return named;
    }
    return address;
  }

  /** `address:port` of the client; the port is 0 when only a proxy knows it. */
  of(peer: string, port: number, headers?: Headers): string {
    const plain = plainAddress(peer);
    const address = headers === undefined ? plain : this.address(peer, headers);
    return join(address, address === plain ? port : 0);
  }

  /** Whether a proxy that is not trusted has passed the request on: where it comes from is not known. */
  hidden(peer: string, headers: Headers): boolean {
    return headers.has(FORWARDED_FOR) && !this.trusts(plainAddress(peer));
  }
}

/** Some proxies write the port as well: `192.0.2.1:5000`, `[2001:db8::1]:5000`. */
function hopAddress(hop: string): string {
  return plainAddress(/^\[(.+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop);
}

function join(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
