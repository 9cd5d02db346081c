import type { Grant, Role } from "./access.ts";

/** One HTTP resource. */
export interface Route {
  /** An exact path, or `/prefix/*` for everything below it. */
  path: string;
  method: "GET" | "POST";
  /** What the user must be allowed; `open` routes need no credentials at all. */
  role: Role | "open";
  handle(request: Request, grant: Grant | undefined): Response | Promise<Response>;
}

export const JSON_TYPE = { "content-type": "application/json; charset=utf-8" };

export function jsonResponse(text: string, status = 200): Response {
  return new Response(text, { status, headers: JSON_TYPE });
}

/** An error of the HTTP layer itself, in the shape of the API's errors with the HTTP status as its code. */
export function httpError(status: number, message: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ error: { code: status, message } });
  return new Response(body, { status, headers: { ...JSON_TYPE, ...headers } });
}

/** Finds the route of a path. */
export class Router {
  readonly #exact = new Map<string, Route[]>();
  readonly #prefixes: { prefix: string; route: Route }[] = [];
  readonly #listing: string;

  constructor(routes: readonly Route[], upgrades: readonly string[]) {
    for (const route of routes) {
      if (route.path.endsWith("/*")) this.#prefixes.push({ prefix: route.path.slice(0, -1), route });
      else this.#exact.set(route.path, [...(this.#exact.get(route.path) ?? []), route]);
    }
    this.#listing = [...upgrades, ...routes.map(({ method, path }) => `${method} ${path}`)].join(", ");
  }

  /** The routes of a path, one for each method it has; empty when there is nothing. */
  at(path: string): readonly Route[] {
    return (
      this.#exact.get(path) ?? this.#prefixes.filter(({ prefix }) => path.startsWith(prefix)).map(({ route }) => route)
    );
  }

  notFound(path: string): Response {
    return httpError(404, `nothing is served at ${path}, expected one of ${this.#listing}`);
  }
}

/** The body as text, read up to `limit` bytes; the response to give when it is longer or not UTF-8. */
export async function readBody(request: Request, limit: number): Promise<string | Response> {
  const tooLarge = () => httpError(413, `the body may have ${limit} bytes (readBufferSize)`, { connection: "close" });
  if (Number(request.headers.get("content-length") ?? 0) > limit) return tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > limit) return tooLarge();
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    return httpError(400, "the body is not UTF-8");
  }
}
