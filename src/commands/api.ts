import { ask, get } from "../client/http.ts";
import { Client, ConnmixError } from "../client/index.ts";
import type { Credentials } from "../client/websocket.ts";
import { UserError } from "../errors.ts";

/** What every command that talks to a running cluster takes. */
export const apiArguments = {
  api: {
    type: "string",
    valueHint: "URL",
    default: "http://127.0.0.1:6789",
    description: "the API server of an engine",
  },
  user: { type: "string", valueHint: "name", description: "user of access.users (default: $CONNMIX_USER)" },
  password: { type: "string", valueHint: "text", description: "the user's password (default: $CONNMIX_PASSWORD)" },
} as const;

export interface ApiArguments {
  api: string;
  user?: string | undefined;
  password?: string | undefined;
}

const TIMEOUT_MS = 10_000;

/** One API server as the command line names it, with the user it is asked as. */
export class Api {
  readonly url: string;
  readonly credentials: Credentials | undefined;

  /** Throws a `UserError` for an address that is none. */
  constructor({ api, user, password }: ApiArguments, environment = process.env) {
    const url = URL.canParse(api) ? new URL(api) : undefined;
    if (url?.protocol !== "http:" && url?.protocol !== "https:") {
      throw new UserError(`--api: found ${JSON.stringify(api)}, expected a URL such as http://127.0.0.1:6789`, 2);
    }
    const username = user ?? (decodeURIComponent(url.username) || environment.CONNMIX_USER);
    this.url = url.origin;
    this.credentials = username
      ? { username, password: password ?? (decodeURIComponent(url.password) || environment.CONNMIX_PASSWORD || "") }
      : undefined;
  }

  /** GETs a path of this server, or of another with the same user; throws a `UserError` that says what went wrong. */
  async get(path: string, url: string = this.url, timeout: number = TIMEOUT_MS): Promise<Response> {
    try {
      return await get(url, path, this.credentials, AbortSignal.timeout(timeout));
    } catch (thrown) {
      throw userError(thrown);
    }
  }

  /** Connects to this engine, and to this one alone: what the others advertise need not be reachable from here. */
  async use(work: (client: Client) => Promise<void>): Promise<void> {
    try {
      await this.#expectEngine();
      const client = new Client({
        url: this.url,
        ...this.credentials,
        discover: false,
        requestTimeout: TIMEOUT_MS,
        onTrouble: (text) => console.error(text),
      });
      await work(client).finally(() => client.close());
    } catch (thrown) {
      throw userError(thrown);
    }
  }

  /** Asks over HTTP first, since a WebSocket that does not open gives no reason. */
  async #expectEngine(): Promise<void> {
    await this.get("/version");
    const { status } = await ask(this.url, "/ws/v1", this.credentials, AbortSignal.timeout(TIMEOUT_MS));
    // "Upgrade required": what an engine answers to a plain request there.
    if (status !== 426) throw new UserError(`${this.url} is a center: expected an engine, one of "connmix nodes"`);
  }
}

function userError(thrown: unknown): unknown {
  return thrown instanceof ConnmixError ? new UserError(thrown.message) : thrown;
}
