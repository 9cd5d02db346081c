import { ConnmixError } from "./error.ts";
import { basicAuthorization, type Credentials } from "./websocket.ts";

/** GETs a path of an API server; rejects with `unavailable`, saying why, for anything but an answer of 200. */
export async function get(...request: Parameters<typeof ask>): Promise<Response> {
  const response = await ask(...request);
  if (response.ok) return response;
  const [url, path] = request;
  throw new ConnmixError("unavailable", `${url}: ${response.status} for ${path}: ${await refusal(response)}`);
}

/** GETs a path of an API server, whatever it answers; rejects with `unavailable` when it does not. */
export async function ask(
  url: string,
  path: string,
  credentials: Credentials | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = credentials ? { authorization: basicAuthorization(credentials) } : {};
  try {
    return await fetch(new URL(path, url), { headers, signal });
  } catch (error) {
    throw new ConnmixError("unavailable", `${url}: ${reasonOf(error as Error)}`);
  }
}

/** Node's fetch says only "fetch failed" and keeps the reason as the cause; Bun asks whether the computer is online. */
function reasonOf(error: Error & { code?: unknown }): string {
  const { code, message } = error.cause instanceof Error ? (error.cause as typeof error) : error;
  return code === "ECONNREFUSED" ? "connection refused" : message;
}

/** The message of an API server's error, or the beginning of what something else answered. */
async function refusal(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return text.trim().slice(0, 200);
  }
}
