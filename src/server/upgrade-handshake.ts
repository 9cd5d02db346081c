import { targetOf } from "../listen/request-target.ts";
import type { Handshake } from "../lua/script.ts";

/** What a script's `on_handshake` is told; without one nothing of it is ever read, so nothing is made beforehand. */
export class UpgradeHandshake implements Handshake {
  readonly serverProtocol = "HTTP/1.1";
  readonly #request: Request;
  /** Got before the upgrade: afterwards Bun no longer has them. */
  readonly #headers: Headers;

  constructor(
    request: Request,
    readonly remoteAddr: string,
  ) {
    this.#request = request;
    this.#headers = request.headers;
  }

  get headers(): Record<string, string> {
    return Object.fromEntries(this.#headers);
  }

  get method(): string {
    return this.#request.method;
  }

  get requestUri(): string {
    return targetOf(this.#request.url);
  }

  get host(): string {
    return this.#headers.get("host") ?? "";
  }
}
