import type { Connection, ConnectionOptions, QueueEvent } from "./connection.ts";
import { type ConsumeOptions, Consumer } from "./consumer.ts";
import { Discovery, type Node } from "./discovery.ts";
import { ConnmixError } from "./error.ts";
import { Links } from "./links.ts";
import {
  type ApiRequest,
  type BatchEntry,
  batchRequest,
  type ClientId,
  callRequest,
  type Data,
  publishRequest,
  sendRequest,
  valueIn,
} from "./request.ts";

export interface ClientOptions {
  /** `http(s)://[user:password@]host:port` of a center or an engine, or several of them: whichever answers lists the engines. */
  url: string | string[];
  username?: string;
  password?: string;
  /** False: the addresses given are the engines (behind a load balancer, say); none are looked for. Default true. */
  discover?: boolean;
  /** Base URL to reach a listed engine by, where what it advertises cannot be reached from here (containers, NAT). */
  resolve?: (node: Node) => string;
  /** Milliseconds until an unanswered request fails, 10,000 by default. */
  requestTimeout?: number;
  /** Milliseconds between pings on each connection, 20,000 by default; keep it well below the engines' read time-out (60 s). */
  pingInterval?: number;
  /** Told about lost connections, failed attempts and handlers that threw, none of which stop the client. Default: nothing. */
  onTrouble?: (text: string, error?: unknown) => void;
}

export interface HandlerOptions extends ConsumeOptions {
  /** Calls of the handler under way at once, 1 by default: strictly one after the other, in order. */
  concurrency?: number;
}

export interface PublishCount {
  /** Subscribed connections in the whole cluster. */
  total: number;
  /** Those the message could not be handed to. */
  fail: number;
}

export type BatchResult = { ok: true; result: unknown } | { ok: false; error: ConnmixError };

/**
 * Talks to a connmix cluster: finds its engines, keeps a connection to each, and sends every request to any one of them.
 * Every method rejects with a `ConnmixError`. Nothing is repeated on its own: a request that was sent and not answered
 * fails with `disconnected` or `timeout`, and whether to repeat it is the caller's to say.
 */
export class Client {
  readonly #options: ConnectionOptions & { onTrouble: (text: string, error?: unknown) => void };
  readonly #resolve: (node: Node) => string;
  readonly #discovery: Discovery | undefined;
  readonly #links: Links;
  readonly #consumers = new Set<Consumer>();
  readonly #handlers = new Set<Promise<void>>();
  readonly #requests = new Set<Promise<unknown>>();
  readonly #waiters = new Set<(found: Connection | ConnmixError) => void>();
  #engines: string[] = [];
  #trouble = "none has answered yet";
  #closed: Promise<void> | undefined;

  /** Starts to connect at once; throws a `TypeError` for an address that is none. */
  constructor(options: ClientOptions) {
    const { discover = true, requestTimeout = 10_000, pingInterval = 20_000, onTrouble = () => {} } = options;
    const urls = [options.url].flat().map(baseUrl);
    const { protocol, username, password } = urls[0]!;
    const credentials =
      options.username !== undefined || username !== ""
        ? {
            username: options.username ?? decodeURIComponent(username),
            password: options.password ?? decodeURIComponent(password),
          }
        : undefined;
    this.#resolve = options.resolve ?? ((node) => `${protocol}//${node.api_server}`);
    this.#options = { credentials, requestTimeout, pingInterval, onTrouble };
    this.#links = new Links({
      ...this.#options,
      onUp: (connection) => this.#answerWaiters(connection),
      onDown: () => this.#discovery?.refresh(),
      onTrouble: (text) => {
        this.#trouble = text;
        onTrouble(text);
      },
    });
    const origins = urls.map(({ origin }) => origin);
    if (!discover) {
      this.#use(origins);
      return;
    }
    this.#discovery = new Discovery({
      urls: origins,
      credentials,
      requestTimeout,
      resolve: this.#resolve,
      onNodes: (nodes) => this.#use(nodes.map(this.#resolve)),
      onTrouble: (text) => {
        this.#trouble = text;
        onTrouble(text);
      },
    });
  }

  /** The engines as last listed. */
  get nodes(): Node[] {
    return this.#discovery?.nodes ?? [];
  }

  /** Base URLs of the engines connected right now. */
  get connected(): string[] {
    return this.#links.connections().map(({ url }) => url);
  }

  /** Resolves when an engine is connected; rejects with `unavailable` when none is within the request time-out. */
  async ready(): Promise<void> {
    await this.#connection();
  }

  /** Sends to one connection; rejects with 401 when there is no such client or it could not be handed over. */
  async send(clientId: ClientId, data: Data): Promise<void> {
    await this.#request(sendRequest(clientId, data));
  }

  /** Publishes to all connections subscribed to the channel, on all engines. */
  async publish(channel: string, data: Data): Promise<PublishCount> {
    const { total, fail } = (await this.#request(publishRequest(channel, data))) as PublishCount;
    return { total, fail };
  }

  /**
   * Runs a function on a connection, wherever it is, and returns its value, if it has one; rejects with 301 when there is
   * no such client or function.
   */
  async call(clientId: ClientId, func: string, args: unknown[] = []): Promise<unknown> {
    return valueIn(await this.#request(callRequest(clientId, func, args)));
  }

  /** A connection's context: what scripts and backends have set on it. */
  async context(clientId: ClientId): Promise<Record<string, unknown>> {
    return (await this.call(clientId, "context")) as Record<string, unknown>;
  }

  /** Merges these keys into a connection's context. */
  async setContext(clientId: ClientId, values: Record<string, unknown>): Promise<void> {
    await this.call(clientId, "set_context", [values]);
  }

  async subscribe(clientId: ClientId, ...channels: string[]): Promise<void> {
    await this.call(clientId, "subscribe", channels);
  }

  async unsubscribe(clientId: ClientId, ...channels: string[]): Promise<void> {
    await this.call(clientId, "unsubscribe", channels);
  }

  /** The channels a connection is subscribed to. */
  async channels(clientId: ClientId): Promise<string[]> {
    return (await this.call(clientId, "channels")) as string[];
  }

  /** Closes a connection, with a WebSocket close code and reason if given. */
  async disconnect(clientId: ClientId, code?: number, reason?: string): Promise<void> {
    await this.call(clientId, "close", code === undefined ? [] : reason === undefined ? [code] : [code, reason]);
  }

  /** Sends several requests to one engine in one go, carried out in order; a failed one does not stop the others. */
  async batch(entries: BatchEntry[]): Promise<BatchResult[]> {
    const requests = entries.map(batchRequest);
    const connection = await this.#connection();
    return Promise.all(
      requests.map(({ method, params }) =>
        this.#track(connection.request(method, params)).then(
          (result): BatchResult => ({ ok: true, result: method === "conn.call" ? valueIn(result) : result }),
          (error: ConnmixError): BatchResult => ({ ok: false, error }),
        ),
      ),
    );
  }

  /**
   * Consumes topics from all engines. To be iterated (`for await (const event of client.consume("foo"))`), or with a
   * handler: an event is done when the handler returned or its promise settled; a handler that fails is reported to
   * `onTrouble`, and the next event follows. Delivery is at most once: what was received and not handled when the
   * process dies is gone.
   */
  consume<T = unknown>(topics: string | string[], options?: ConsumeOptions): Consumer<T>;
  consume<T = unknown>(
    topics: string | string[],
    handler: (event: QueueEvent<T>) => unknown,
    options?: HandlerOptions,
  ): Consumer<T>;
  consume<T = unknown>(
    topics: string | string[],
    handlerOrOptions: ((event: QueueEvent<T>) => unknown) | ConsumeOptions = {},
    handlerOptions: HandlerOptions = {},
  ): Consumer<T> {
    if (this.#closed !== undefined) throw closedError();
    const handler = typeof handlerOrOptions === "function" ? handlerOrOptions : undefined;
    const options = typeof handlerOrOptions === "function" ? handlerOptions : handlerOrOptions;
    const links = { ...this.#options, onTrouble: (text: string) => this.#options.onTrouble(text) };
    const consumer: Consumer<T> = new Consumer<T>([topics].flat(), options, links, () => {
      this.#consumers.delete(consumer as Consumer);
    });
    this.#consumers.add(consumer as Consumer);
    consumer.update(this.#engines);
    if (handler !== undefined) {
      for (let i = 0; i < (handlerOptions.concurrency ?? 1); i++) this.#handle(consumer, handler);
    }
    return consumer;
  }

  /**
   * Closes in good order: stops all consumers, lets handlers finish what was received and requests be answered, for at
   * most the request time-out, and then closes the connections. Whatever is asked for from then on rejects with `closed`.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#discovery?.close();
    this.#answerWaiters(closedError());
    const settled = Promise.all([...this.#consumers].map((consumer) => consumer.stop())).then(() =>
      Promise.allSettled([...this.#handlers, ...this.#requests]),
    );
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, this.#options.requestTimeout);
    });
    await Promise.race([settled, late]);
    clearTimeout(timer);
    await this.#links.close();
  }

  #use(engines: string[]): void {
    if (this.#closed !== undefined) return;
    this.#engines = engines.map(webSocketUrl);
    this.#links.update(this.#engines);
    for (const consumer of this.#consumers) consumer.update(this.#engines);
  }

  #handle<T>(consumer: Consumer<T>, handler: (event: QueueEvent<T>) => unknown): void {
    const run = async () => {
      for await (const event of consumer) {
        try {
          await handler(event);
        } catch (error) {
          this.#options.onTrouble(`the handler of ${event.topic} failed: ${(error as Error)?.message ?? error}`, error);
        }
      }
    };
    const running = run()
      .catch((error: ConnmixError) => this.#options.onTrouble(error.message, error))
      .finally(() => this.#handlers.delete(running));
    this.#handlers.add(running);
  }

  async #request({ method, params }: ApiRequest): Promise<unknown> {
    const connection = await this.#connection();
    return this.#track(connection.request(method, params));
  }

  #track<T>(request: Promise<T>): Promise<T> {
    this.#requests.add(request);
    const done = () => this.#requests.delete(request);
    request.then(done, done);
    return request;
  }

  /** Any connected engine; when there is none, the first that will be. */
  #connection(): Promise<Connection> | Connection {
    if (this.#closed !== undefined) return Promise.reject(closedError());
    const connections = this.#links.connections();
    if (connections.length > 0) return connections[Math.floor(Math.random() * connections.length)]!;
    return new Promise((resolve, reject) => {
      const use = (found: Connection | ConnmixError) => {
        clearTimeout(timer);
        this.#waiters.delete(use);
        if (found instanceof ConnmixError) reject(found);
        else resolve(found);
      };
      const timer = setTimeout(
        () => use(new ConnmixError("unavailable", `no engine is connected: ${this.#trouble}`)),
        this.#options.requestTimeout,
      );
      this.#waiters.add(use);
    });
  }

  #answerWaiters(found: Connection | ConnmixError): void {
    for (const use of [...this.#waiters]) use(found);
  }
}

function closedError(): ConnmixError {
  return new ConnmixError("closed", "the client is closed");
}

function baseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw new TypeError(`"${text}" is not an address like http://127.0.0.1:6789`);
}

function webSocketUrl(base: string): string {
  return `${new URL("/ws/v1", base.replace(/^http/, "ws"))}`;
}
