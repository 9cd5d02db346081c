/**
 * URLs taken apart as Go's net/url does it, which the original system used: relative references (a request's URI) are fine,
 * and what was escaped is told both ways. All strings are byte strings (one character a byte), since %FF is no UTF-8.
 */
export interface UrlParts {
  /** Lower case. */
  scheme: string;
  /** What follows "scheme:" when that is no slash, as in mailto:someone. */
  opaque: string;
  /** "name" or "name:password", as written. */
  user: string;
  /** With the port, if any. */
  host: string;
  /** Unescaped. */
  path: string;
  /** As written, when escaping `path` anew would not give the same; else empty. */
  rawPath: string;
  /** The URL ends with a question mark and has no query. */
  forceQuery: boolean;
  rawQuery: string;
  fragment: string;
  rawFragment: string;
}

/** Why a URL or query cannot be taken apart. */
export class UrlError extends Error {}

// Which bytes stand for themselves in a path and in a fragment (RFC 3986, less what Go escapes nevertheless).
const PATH = /[A-Za-z0-9\-_.~$&+,/:;=@]/;
const FRAGMENT = /[A-Za-z0-9\-_.~$&+,/:;=?@!()*]/;

/** Throws a UrlError. */
export function parseUrl(url: string): UrlParts {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (/[\x00-\x1f\x7f]/.test(url)) throw new UrlError("invalid control character in URL");
  const parts: UrlParts = {
    scheme: "",
    opaque: "",
    user: "",
    host: "",
    path: "",
    rawPath: "",
    forceQuery: false,
    rawQuery: "",
    fragment: "",
    rawFragment: "",
  };
  const [beforeFragment, fragment] = cut(url, "#");
  parts.fragment = unescaped(fragment);
  if (escaped(parts.fragment, FRAGMENT) !== fragment) parts.rawFragment = fragment;

  const [scheme, afterScheme] = splitScheme(beforeFragment);
  parts.scheme = scheme.toLowerCase();
  const [beforeQuery, query] = cut(afterScheme, "?");
  parts.rawQuery = query;
  parts.forceQuery = query === "" && afterScheme.endsWith("?");

  let rest = beforeQuery;
  if (!rest.startsWith("/")) {
    if (scheme !== "") {
      parts.opaque = rest;
      return parts;
    }
    if (cut(rest, "/")[0].includes(":")) throw new UrlError("first path segment in URL cannot contain colon");
  } else if (rest.startsWith("//") && (scheme !== "" || !rest.startsWith("///"))) {
    const slash = rest.indexOf("/", 2);
    const authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
    rest = slash < 0 ? "" : rest.slice(slash);
    const at = authority.lastIndexOf("@");
    if (at >= 0) parts.user = userOf(authority.slice(0, at));
    parts.host = hostOf(authority.slice(at + 1));
  }
  parts.path = unescaped(rest);
  if (rest !== "*" && escaped(parts.path, PATH) !== rest) parts.rawPath = rest;
  return parts;
}

/**
 * The pairs of a query string, unescaped ("+" is a space). A malformed pair throws a UrlError, or is left out when `lenient`.
 */
export function parseQuery(query: string, lenient = false): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    try {
      if (part.includes(";")) throw new UrlError("invalid semicolon separator in query");
      const [name, value] = cut(part, "=");
      pairs.push([unescaped(name.replaceAll("+", " ")), unescaped(value.replaceAll("+", " "))]);
    } catch (error) {
      if (!lenient) throw error;
    }
  }
  return pairs;
}

function cut(text: string, separator: string): [before: string, after: string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function splitScheme(url: string): [scheme: string, rest: string] {
  if (url.startsWith(":")) throw new UrlError("missing protocol scheme");
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(url)?.[0];
  return scheme === undefined ? ["", url] : [scheme, url.slice(scheme.length + 1)];
}

function userOf(user: string): string {
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) throw new UrlError("invalid userinfo");
  unescaped(user);
  return user;
}

function hostOf(host: string): string {
  const [, name, port] = /^(\[[^\]]*\]|[^:]*)(.*)$/.exec(host)!;
  if (name!.startsWith("[") && !name!.endsWith("]")) throw new UrlError("missing ']' in host");
  if (!/^(?::\d*)?$/.test(port!)) throw new UrlError(`invalid port ${JSON.stringify(port)} after host`);
  const invalid = /[ "<>\\^`{|}]/.exec(name!);
  if (invalid !== null) throw new UrlError(`invalid character ${JSON.stringify(invalid[0])} in host name`);
  return unescaped(name!) + port;
}

function unescaped(text: string): string {
  if (!text.includes("%")) return text;
  return text.replace(/%(.{0,2})/gs, (found, digits: string) => {
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw new UrlError(`invalid URL escape ${JSON.stringify(found)}`);
    return String.fromCharCode(Number.parseInt(digits, 16));
  });
}

function escaped(text: string, plain: RegExp): string {
  return text.replace(/./gs, (byte) =>
    plain.test(byte) ? byte : `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
