import { backoff, LONGEST } from "./backoff.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";

export interface LinksOptions extends ConnectionOptions {
  onUp(connection: Connection): void;
  onDown(connection: Connection): void;
  /** Called after each failure to connect and each loss, with a text that says which engine and why. */
  onTrouble(text: string): void;
  /** What to finish on a connection before it is closed in good order. */
  beforeClose?(connection: Connection): Promise<void>;
}

/** Keeps one connection to one engine: dials, and after a failure or a loss dials again. */
class Link {
  readonly url: string;
  readonly #options: LinksOptions;
  readonly #onIdle: (link: Link) => void;
  connection: Connection | undefined;
  /** Cleared when the engine is no longer listed: a connection that still stands is used until it ends. */
  redial = true;
  #closed = false;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, options: LinksOptions, onIdle: (link: Link) => void) {
    this.url = url;
    this.#options = options;
    this.#onIdle = onIdle;
    void this.#dial();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const { connection } = this;
    if (connection === undefined) return;
    await this.#options.beforeClose?.(connection);
    await connection.close();
  }

  async #dial(): Promise<void> {
    let connection: Connection;
    try {
      connection = await Connection.open(this.url, this.#options);
    } catch (error) {
      this.#again((error as Error).message);
      return;
    }
    if (this.#closed) {
      await connection.close();
      return;
    }
    this.connection = connection;
    const since = Date.now();
    connection.onClose = (reason) => {
      this.connection = undefined;
      // An engine that accepts and hangs up at once is a failure too, or it would be dialled in a tight loop.
      if (Date.now() - since > LONGEST) this.#failures = 0;
      this.#options.onDown(connection);
      this.#again(`lost ${this.url}: ${reason}`);
    };
    this.#options.onUp(connection);
  }

  #again(trouble: string): void {
    if (this.#closed) return;
    this.#options.onTrouble(trouble);
    if (!this.redial) {
      this.#onIdle(this);
      return;
    }
    this.#timer = setTimeout(() => void this.#dial(), backoff(++this.#failures));
  }
}

/** One connection to every engine of a list that changes. */
export class Links {
  readonly #options: LinksOptions;
  #links: Link[] = [];

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /**
   * Follows the list. An address listed twice (worker processes that share a port) gets two connections. An engine that
   * left the list keeps the connection it has until that ends: a registry that has just restarted lists too few.
   */
  update(urls: string[]): void {
    const missing = new Map<string, number>();
    for (const url of urls) missing.set(url, (missing.get(url) ?? 0) + 1);
    const connectedFirst = this.#links.toSorted(
      (a, b) => Number(b.connection !== undefined) - Number(a.connection !== undefined),
    );
    for (const link of connectedFirst) {
      const left = missing.get(link.url);
      link.redial = left !== undefined && left > 0;
      if (link.redial) missing.set(link.url, left! - 1);
      else if (left === 0 || link.connection === undefined) this.#remove(link);
    }
    for (const [url, count] of missing) {
      for (let i = 0; i < count; i++) this.#links.push(new Link(url, this.#options, (link) => this.#remove(link)));
    }
  }

  connections(): Connection[] {
    return this.#links.flatMap(({ connection }) => connection ?? []);
  }

  async close(): Promise<void> {
    const links = this.#links;
    this.#links = [];
    await Promise.all(links.map((link) => link.close()));
  }

  #remove(link: Link): void {
    this.#links = this.#links.filter((other) => other !== link);
    void link.close();
  }
}
