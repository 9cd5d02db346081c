import { isIP } from "node:net";

/** Web pages of other origins that may use the API; `"*"` is any (development). */
export type AllowedOrigins = readonly string[] | "*";

/**
 * Browsers let any page open a WebSocket to, or post to, any address the user's machine can reach, so a page must not drive an
 * API that trusts loopback or remembered credentials. Refused are pages of another host and port than the one asked (cross-site
 * requests) and, while no users are configured, host names other than localhost (DNS rebinding: a foreign name that resolves to
 * 127.0.0.1). As nobody has credentials then and everything is on one machine, another port of the same host will do: a
 * center's console may try its engine. Programs that are not browsers send no Origin, or one that is no URL, and pass. Returns why it was refused.
 */
export function originRefusal(headers: Headers, allowed: AllowedOrigins, loopbackOnly: boolean): string | undefined {
  if (allowed === "*") return undefined;
  const host = headers.get("host") ?? "";
  const origin = headers.get("origin");
  if (origin !== null && !allowed.includes(origin)) {
    const page = origin === "null" ? { host: "null", hostname: "null" } : URL.parse(origin);
    const asked = URL.parse(`${origin.slice(0, origin.indexOf(":"))}://${host}`);
    const same = loopbackOnly ? page?.hostname === asked?.hostname : page?.host === asked?.host;
    if (page !== null && !same) {
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

function isLocalName(host: string): boolean {
  const name = host.replace(/:\d*$/, "").toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || isIP(name.replace(/^\[|\]$/g, "")) !== 0;
}
