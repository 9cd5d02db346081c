import { isIP } from "node:net";

/** Web pages of other origins that may use the API; `"*"` is any (development). */
export type AllowedOrigins = readonly string[] | "*";

/**
 * Browsers let any page open a WebSocket to, or post to, any address the user's machine can reach, so a page must not drive an
 * API that trusts loopback or remembered credentials. Refused are pages of another host than the one asked (cross-site
 * requests) and, while no users are configured, host names other than localhost (DNS rebinding: a foreign name that resolves to
 * 127.0.0.1). Programs that are not browsers send no Origin, or one that is no URL, and pass. Returns why it was refused.
 */
export function originRefusal(headers: Headers, allowed: AllowedOrigins, loopbackOnly: boolean): string | undefined {
  if (allowed === "*") return undefined;
  const host = headers.get("host") ?? "";
  const origin = headers.get("origin");
  if (origin !== null && !allowed.includes(origin)) {
    const originHost = origin === "null" ? "null" : URL.parse(origin)?.host;
    if (originHost !== undefined && originHost !== withoutDefaultPort(origin, host)) {
      return `web pages of ${origin} may not use this API, only those of http://${host}: leave out the Origin header, or serve the page from there`;
    }
  }
  if (loopbackOnly && !isLocalName(host)) {
    return `the Host header is ${host || "missing"}, expected localhost or an IP address while no users are configured: add a user under access.users`;
  }
  return undefined;
}

/** Headers that let an allowed page of another origin read the answer (the Fetch standard's CORS protocol). */
export function corsHeaders(headers: Headers, allowed: AllowedOrigins): Record<string, string> | undefined {
  const origin = headers.get("origin");
  if (origin === null || (allowed !== "*" && !allowed.includes(origin))) return undefined;
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, HEAD, POST",
    "access-control-allow-headers": "authorization, content-type",
    "access-control-max-age": "600",
    vary: "origin",
  };
}

function withoutDefaultPort(origin: string, host: string): string {
  return URL.parse(`${origin.slice(0, origin.indexOf(":"))}://${host}`)?.host ?? host;
}

function isLocalName(host: string): boolean {
  const name = host.replace(/:\d*$/, "").toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || isIP(name.replace(/^\[|\]$/g, "")) !== 0;
}
