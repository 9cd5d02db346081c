import { isIPv4, isIPv6 } from "node:net";

/** How a connection that came through a proxy begins. */
export interface ProxyHeader {
  /** Bytes it takes; what follows is the client's. */
  length: number;
  /** Whom the proxy speaks for; undefined when for itself (a health check) or when it does not know. */
  source: { address: string; port: number } | undefined;
}

/** The longest line of version 1, with its CRLF. */
const MAX_V1 = 107;
/** Version 2 may carry more than addresses (TLVs); more than this is no header any proxy sends. */
const MAX_V2 = 4096;

const V1 = Buffer.from("PROXY ");
const V2 = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);

/**
 * Reads the header of the PROXY protocol, version 1 or 2 (its specification is HAProxy's proxy-protocol.txt, section 2), from
 * the first bytes of a connection. `absent`: they are something else; `incomplete`: more are needed to tell.
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader | "absent" | "incomplete" | "malformed" {
  for (const [signature, read] of [[V1, readV1] as const, [V2, readV2] as const]) {
    const known = Math.min(signature.length, bytes.length);
    if (bytes.compare(signature, 0, known, 0, known) !== 0) continue;
    return known < signature.length ? "incomplete" : read(bytes);
  }
  return "absent";
}

/** `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n` */
function readV1(bytes: Buffer): ProxyHeader | "incomplete" | "malformed" {
  const end = bytes.subarray(0, MAX_V1).indexOf("\r\n");
  if (end < 0) return bytes.length < MAX_V1 ? "incomplete" : "malformed";
  const length = end + 2;
  const [, family, address = "", , portText = "", ...rest] = bytes.toString("latin1", 0, end).split(" ");
  if (family === "UNKNOWN") return { length, source: undefined };
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  const known = (family === "TCP4" && isIPv4(address)) || (family === "TCP6" && isIPv6(address));
  if (!known || !(port <= 65535) || rest.length !== 1) return "malformed";
  return { length, source: { address, port } };
}

function readV2(bytes: Buffer): ProxyHeader | "incomplete" | "malformed" {
  if (bytes.length < 16) return "incomplete";
  const [version, command] = [bytes[12]! >> 4, bytes[12]! & 0x0f];
  const length = 16 + bytes.readUInt16BE(14);
  if (version !== 2 || command > 1 || length > MAX_V2) return "malformed";
  if (bytes.length < length) return "incomplete";
  const family = bytes[13]!;
  // LOCAL (0): the proxy itself. Families other than TCP over IPv4 or IPv6 say nothing about an address.
  if (command === 0 || (family !== 0x11 && family !== 0x21)) return { length, source: undefined };
  const size = family === 0x11 ? 4 : 16;
  if (length < 16 + 2 * size + 4) return "malformed";
  const address = family === 0x11 ? ipv4(bytes.subarray(16, 20)) : ipv6(bytes.subarray(16, 32));
  return { length, source: { address, port: bytes.readUInt16BE(16 + 2 * size) } };
}

function ipv4(bytes: Buffer): string {
  return bytes.join(".");
}

/** In the usual short form, which the URL parser knows (RFC 5952). */
function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
