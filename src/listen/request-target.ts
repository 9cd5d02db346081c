/**
 * The path and query of a request's URL, as the client wrote them. Not by `new URL`, which throws for HTTP/1.0 without a Host,
 * as some probes speak it: Bun's URL has no origin then.
 */
export function targetOf(url: string): string {
  const start = url.startsWith("/") ? 0 : url.indexOf("/", url.indexOf("://") + 3);
  return start < 0 ? "/" : url.slice(start);
}

/** The path of a request's URL, without the query. */
export function pathOf(url: string): string {
  const target = targetOf(url);
  const end = target.indexOf("?");
  return end < 0 ? target : target.slice(0, end);
}
