import { ConnmixError } from "./error.ts";
import { type Credentials, createWebSocket } from "./websocket.ts";

/** What a script pushed to a topic. `clientId` is whom an answer may be sent to; "0" when no client was involved. */
export interface QueueEvent<T = unknown> {
  clientId: string;
  topic: string;
  data: T;
}

export interface ConnectionOptions {
  credentials?: Credentials | undefined;
  /** Milliseconds until an unanswered request, or an attempt to connect, fails. */
  requestTimeout: number;
  /** Milliseconds between pings; an engine closes a connection it has heard nothing from for its read time-out (60 s). */
  pingInterval: number;
}

interface Pending {
  method: string;
  timer: ReturnType<typeof setTimeout>;
  resolve(result: unknown): void;
  reject(error: ConnmixError): void;
}

/** The long dialect's replies and events. */
interface Reply {
  id?: unknown;
  error?: { code: number; message: string } | null;
  result?: unknown;
  event?: string;
}
interface EventResult {
  client_id: string;
  queue: string;
  data: unknown;
}

/** One open WebSocket to one engine's API: requests by id with time-outs, events, and pings that find a dead peer. */
export class Connection {
  readonly url: string;
  readonly #socket: WebSocket;
  readonly #options: ConnectionOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #pinger: ReturnType<typeof setInterval>;
  #lastId = 0;
  #open = true;
  /** Messages so far: an engine that sent nothing at all while a request timed out is taken for dead. */
  #received = 0;

  onEvent: (event: QueueEvent) => void = () => {};
  /** Called once, however it ended. */
  onClose: (reason: string) => void = () => {};

  private constructor(url: string, socket: WebSocket, options: ConnectionOptions) {
    this.url = url;
    this.#socket = socket;
    this.#options = options;
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = (event) =>
      this.#ended(`closed by the engine (${event.code}${event.reason && ` ${event.reason}`})`);
    socket.onerror = () => {};
    this.#pinger = setInterval(() => {
      this.request("server.ping", []).catch(() => {});
    }, options.pingInterval);
  }

  /** Rejects with `unavailable` when the engine cannot be reached or refuses. */
  static async open(url: string, options: ConnectionOptions): Promise<Connection> {
    const socket = await createWebSocket(url, options.credentials);
    return new Promise((resolve, reject) => {
      const fail = (reason: string) => {
        clearTimeout(timer);
        // Node's own calls `onerror` again from `close`; ws throws an error that nobody listens for.
        socket.onopen = socket.onclose = null;
        socket.onerror = () => {};
        socket.close();
        reject(new ConnmixError("unavailable", `cannot connect to ${url}: ${reason}`));
      };
      const timer = setTimeout(() => fail(`no answer within ${options.requestTimeout} ms`), options.requestTimeout);
      socket.onopen = () => {
        clearTimeout(timer);
        resolve(new Connection(url, socket, options));
      };
      // Browsers give no reason; Bun and ws say which one in `message`.
      socket.onerror = (event) => fail("message" in event ? String(event.message) : "refused, or not an engine");
      socket.onclose = (event) => fail(`closed (${event.code})`);
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends a request of the long dialect and returns its `result`. */
  request(method: string, params: unknown[]): Promise<unknown> {
    if (!this.#open) return Promise.reject(new ConnmixError("unavailable", `the connection to ${this.url} is closed`));
    const id = ++this.#lastId;
    const { requestTimeout } = this.#options;
    const receivedBefore = this.#received;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new ConnmixError("timeout", `${method}: ${this.url} did not answer within ${requestTimeout} ms`));
        if (this.#received === receivedBefore) this.drop(`silent for ${requestTimeout} ms`);
      }, requestTimeout);
      this.#pending.set(id, { method, timer, resolve, reject });
      this.#socket.send(JSON.stringify({ method, params, id }));
    });
  }

  /** Closes in good order; requests that are still unanswered fail with `disconnected`. */
  close(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    this.#ended("closed by this client");
    return new Promise((resolve) => {
      // A peer that does not answer the close is not waited for longer than this.
      const timer = setTimeout(resolve, 1_000);
      this.#socket.onclose = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#socket.close(1000);
    });
  }

  /** Gives the connection up at once, without waiting for a peer that may be dead. */
  drop(reason: string): void {
    this.#ended(reason);
    this.#socket.close();
  }

  #receive(text: unknown): void {
    if (!this.#open) return;
    this.#received++;
    let reply: Reply;
    try {
      reply = JSON.parse(String(text));
    } catch {
      this.drop("it sent something that is not JSON; is this an engine's API port?");
      return;
    }
    if (reply.event !== undefined) this.#event(reply.result as EventResult);
    else this.#reply(reply);
  }

  #event({ client_id, queue, data }: EventResult): void {
    this.onEvent({ clientId: String(client_id), topic: queue, data });
  }

  #reply({ id, error, result }: Reply): void {
    const pending = this.#pending.get(id as number);
    // A reply that came after its time-out.
    if (pending === undefined) return;
    this.#pending.delete(id as number);
    clearTimeout(pending.timer);
    if (error) pending.reject(new ConnmixError(error.code, `${pending.method}: ${error.message}`));
    else pending.resolve(result);
  }

  #ended(reason: string): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#pinger);
    for (const { method, timer, reject } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new ConnmixError("disconnected", `${method}: the connection to ${this.url} was lost: ${reason}`));
    }
    this.#pending.clear();
    this.onClose(reason);
  }
}
