import type { Connection, QueueEvent } from "./connection.ts";
import { ConnmixError } from "./error.ts";
import { Links, type LinksOptions } from "./links.ts";

export interface ConsumeOptions {
  /**
   * Events that may wait for the iteration or the handler, 256 by default. From there on this consumer takes no more until
   * half of them are done; what the engines had sent by then is still kept, so a burst may exceed it.
   */
  highWaterMark?: number;
}

/** Answers that no later attempt would change: no such method, invalid parameters, not allowed. */
const FINAL = new Set<unknown>([100, 101, 103]);
const ALREADY_CONSUMING = 202;

/** What one engine was last told, and the request under way that tells it otherwise. */
interface Tap {
  open: boolean;
  turning: Promise<void> | undefined;
}

interface Waiter<T> {
  resolve(result: IteratorResult<QueueEvent<T>, undefined>): void;
  reject(error: ConnmixError): void;
}

/**
 * Takes the messages of some topics from all engines, to be iterated; several iterations share them. A consumer has a
 * connection of its own to every engine, so an engine that dies interrupts nothing but itself, every client has the same
 * share of a topic, and one that falls behind pauses alone (the protocol stops all topics of a connection at once).
 */
export class Consumer<T = unknown> implements AsyncIterable<QueueEvent<T>> {
  readonly #topics: string[];
  readonly #highWaterMark: number;
  readonly #links: Links;
  readonly #taps = new Map<Connection, Tap>();
  readonly #buffer: QueueEvent<T>[] = [];
  readonly #waiters: Waiter<T>[] = [];
  readonly #onReady: (error?: ConnmixError) => void;
  readonly #onEnd: () => void;
  #flowing = true;
  #stopped: Promise<void> | undefined;
  #ended = false;
  #failure: ConnmixError | undefined;

  /** Resolves when the first engine delivers; rejects when consuming is refused for good, or stopped before. */
  readonly ready: Promise<void>;

  constructor(
    topics: string[],
    { highWaterMark = 256 }: ConsumeOptions,
    links: Omit<LinksOptions, "onUp" | "onDown" | "beforeClose">,
    onEnd: () => void,
  ) {
    this.#topics = topics;
    this.#highWaterMark = highWaterMark;
    this.#onEnd = onEnd;
    let settle: { resolve(): void; reject(error: ConnmixError): void };
    this.ready = new Promise((resolve, reject) => {
      settle = { resolve, reject };
    });
    this.ready.catch(() => {});
    this.#onReady = (error) => (error === undefined ? settle.resolve() : settle.reject(error));
    this.#links = new Links({
      ...links,
      onUp: (connection) => {
        connection.onEvent = (event) => this.#take(event as QueueEvent<T>);
        this.#taps.set(connection, { open: false, turning: undefined });
        void this.#turn(connection);
      },
      onDown: (connection) => this.#taps.delete(connection),
      beforeClose: (connection) => this.#shut(connection),
    });
  }

  /** The engines to consume from; called by the client whenever the list changes. */
  update(urls: string[]): void {
    if (this.#stopped === undefined) this.#links.update(urls);
  }

  /**
   * Stops consuming. What was received by then is still iterated, and then iterations end. Resolves when no engine
   * delivers any more.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Leaving a `for await` loop stops the consumer; what it had received and not yet iterated is dropped. */
  [Symbol.asyncIterator](): AsyncIterator<QueueEvent<T>, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.stop();
        this.#buffer.length = 0;
        return { done: true, value: undefined };
      },
    };
  }

  #next(): Promise<IteratorResult<QueueEvent<T>, undefined>> {
    const event = this.#buffer.shift();
    if (event !== undefined) {
      if (this.#buffer.length <= this.#highWaterMark / 2) this.#flow(true);
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  #take(event: QueueEvent<T>): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: event });
      return;
    }
    this.#buffer.push(event);
    if (this.#buffer.length >= this.#highWaterMark) this.#flow(false);
  }

  #flow(flowing: boolean): void {
    if (this.#flowing === flowing || this.#stopped !== undefined) return;
    this.#flowing = flowing;
    for (const connection of this.#taps.keys()) void this.#turn(connection);
  }

  /** Brings one engine to what is wanted; when that changes meanwhile, the request under way is followed by another. */
  #turn(connection: Connection): Promise<void> {
    const tap = this.#taps.get(connection);
    if (tap === undefined) return Promise.resolve();
    tap.turning ??= this.#turnUntilRight(connection, tap).finally(() => {
      tap.turning = undefined;
    });
    return tap.turning;
  }

  async #turnUntilRight(connection: Connection, tap: Tap): Promise<void> {
    while (connection.isOpen && tap.open !== this.#flowing) {
      const open = this.#flowing;
      try {
        await connection.request(open ? "queue.consume" : "queue.unconsume", open ? this.#topics : []);
      } catch (error) {
        const { code } = error as ConnmixError;
        if (FINAL.has(code)) {
          this.#fail(error as ConnmixError);
          return;
        }
        if (code !== ALREADY_CONSUMING) {
          // Its link dials again, after a pause that grows.
          connection.drop((error as ConnmixError).message);
          return;
        }
      }
      tap.open = open;
      if (open) this.#onReady();
    }
  }

  /** Events that are on their way arrive before the answer, so nothing is lost by closing after it. */
  async #shut(connection: Connection): Promise<void> {
    const tap = this.#taps.get(connection);
    await tap?.turning;
    this.#taps.delete(connection);
    if (tap?.open) await connection.request("queue.unconsume", []).catch(() => {});
  }

  async #stop(): Promise<void> {
    this.#flowing = false;
    this.#onReady(new ConnmixError("closed", "the consumer was stopped"));
    await this.#links.close();
    this.#end();
  }

  #fail(error: ConnmixError): void {
    this.#failure ??= error;
    this.#onReady(error);
    void this.stop();
  }

  #end(): void {
    this.#ended = true;
    for (const { resolve, reject } of this.#waiters.splice(0)) {
      if (this.#failure === undefined) resolve({ done: true, value: undefined });
      else reject(this.#failure);
    }
    this.#onEnd();
  }
}
