interface Tls {
  ca: string[];
}

type BunWebSocketConstructor = new (
  url: string,
  options: { headers: Record<string, string>; tls?: Tls },
) => Bun.WebSocket;

/** A WebSocket client whose messages and close can be awaited in order. */
export class TestSocket {
  readonly #socket: Bun.WebSocket;
  readonly #messages: (string | Buffer)[] = [];
  readonly #waiting: ((message: string | Buffer) => void)[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  static async connect(url: string, headers: Record<string, string> = {}, tls?: Tls): Promise<TestSocket> {
    const client = new TestSocket(url, headers, tls);
    await client.#opened;
    return client;
  }

  readonly #opened: Promise<void>;

  constructor(url: string, headers: Record<string, string> = {}, tls?: Tls) {
    // Bun's WebSocket knows headers and Buffers; the DOM's types, which the console needs, do not.
    this.#socket = new (WebSocket as unknown as BunWebSocketConstructor)(url, {
      headers,
      ...(tls && { tls }),
    });
    this.#socket.binaryType = "nodebuffer";
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.onopen = () => resolve();
      this.#socket.onerror = () => reject(new Error(`cannot connect to ${url}`));
    });
    this.#opened.catch(() => {});
    this.closed = new Promise((resolve) => {
      this.#socket.onclose = (event) => resolve({ code: event.code, reason: event.reason });
    });
    this.#socket.onmessage = (event) => {
      const taker = this.#waiting.shift();
      if (taker !== undefined) taker(event.data);
      else this.#messages.push(event.data);
    };
  }

  send(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  sendJson(value: unknown): void {
    this.send(JSON.stringify(value));
  }

  ping(): void {
    this.#socket.ping();
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason);
  }

  /** Drops the TCP connection without a close frame. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** How many messages have arrived and were not taken. */
  get pending(): number {
    return this.#messages.length;
  }

  /** The next message, in the order of arrival. */
  async next(timeoutMs = 10_000): Promise<string | Buffer> {
    const first = this.#messages.shift();
    if (first !== undefined) return first;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(new Error(`no message within ${timeoutMs} ms`));
      }, timeoutMs);
      const take = (message: string | Buffer) => {
        clearTimeout(timer);
        resolve(message);
      };
      this.#waiting.push(take);
    });
  }

  async text(timeoutMs?: number): Promise<string> {
    return String(await this.next(timeoutMs));
  }

  /** Sends, and takes the next message as the answer. */
  ask(data: string | Uint8Array): Promise<string> {
    this.send(data);
    return this.text();
  }

  // biome-ignore lint/suspicious/noExplicitAny: replies of every shape are compared by the tests
  async json(timeoutMs?: number): Promise<any> {
    return JSON.parse(await this.text(timeoutMs));
  }
}
