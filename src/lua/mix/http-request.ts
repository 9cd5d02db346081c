import { messageOf } from "../../errors.ts";

export interface HttpRequest {
  method: string;
  url: string;
  headers: Headers;
  body: Uint8Array<ArrayBuffer> | undefined;
  /** Milliseconds for everything, redirects and the body included. */
  timeout: number;
  /** Bytes of the (decompressed) response body beyond which the request fails. */
  largestBody: number;
}

export interface HttpResponse {
  status: number;
  headers: Headers;
  body: Uint8Array;
  /** The final one, after redirects. */
  url: string;
}

/** Sends a request and reads the whole response. Rejects with an Error that names the request, or when `abort` is called. */
export async function sendRequest(request: HttpRequest, abort: AbortController): Promise<HttpResponse> {
  const timer = setTimeout(
    () => abort.abort(new Error(`no complete response within ${request.timeout} ms`)),
    request.timeout,
  );
  try {
    const { method, headers, body } = request;
    const prepared = new Request(request.url, { method, headers, body, signal: abort.signal });
    // Bun turns a method it does not know into GET.
    if (prepared.method !== method) throw new Error(`the method ${method} is not supported`);
    const response = await fetch(prepared);
    return {
      status: response.status,
      headers: response.headers,
      body: await readBody(response, request.largestBody),
      url: response.url,
    };
  } catch (error) {
    // What is still being received is of no use any more.
    abort.abort();
    throw new Error(`http ${request.method} ${shown(request.url)}: ${reason(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(response: Response, largest: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > largest) throw new Error(`the response body is larger than ${largest} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

/** Without what may be secret. */
function shown(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

function reason(error: unknown): string {
  return messageOf(error).replace(/\. For more information.*$|\. Is the computer able.*$/s, "");
}
