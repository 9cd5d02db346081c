/** A TCP address to dial. */
export interface Address {
  host: string;
  port: number;
}

/** Reads `host:port`, an IPv6 host in brackets; the configuration has checked the form. */
export function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}
