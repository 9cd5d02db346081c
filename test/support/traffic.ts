import { expect } from "bun:test";
import type { Client, Consumer, PublishCount } from "../../src/client/index.ts";
import type { Connmix } from "./connmix.ts";
import { eventually } from "./eventually.ts";
import { backendOf } from "./station.ts";

const CHANNEL = "news";
const TOPIC = "work";

/** Numbers that arrived, by the engine they were sent at, in the order they came. */
export type Arrivals = Map<string, number[]>;

/** The people of one engine: a backend that publishes and consumes, a client that is subscribed, a client that pushes. */
export class Station {
  readonly heard: Arrivals = new Map();
  readonly consumed: Arrivals = new Map();
  /** What each publish came to; a publish without an answer has none. */
  readonly outcomes: (PublishCount | "failed" | undefined)[] = [];
  pushed = 0;
  /** The longest time between two publishes heard, in milliseconds. */
  longestSilence = 0;
  #heardAt = 0;
  readonly #backend: Client;
  readonly #consumer: Consumer | undefined;
  readonly #subscriber: WebSocket;
  readonly #pusher: WebSocket;

  private constructor(
    readonly engine: Connmix,
    consumes: boolean,
  ) {
    const url = `ws://127.0.0.1:${engine.serverPort()}`;
    this.#backend = backendOf(engine);
    this.#subscriber = new WebSocket(url);
    this.#pusher = new WebSocket(url);
    this.#consumer = consumes
      ? this.#backend.consume<{ from: string; n: number }>(TOPIC, ({ data }) => note(this.consumed, data.from, data.n))
      : undefined;
  }

  static async open(engine: Connmix, consumes: boolean): Promise<Station> {
    const station = new Station(engine, consumes);
    await Promise.all([opened(station.#subscriber), opened(station.#pusher), station.#consumer?.ready]);
    const subscribed = nextMessage(station.#subscriber);
    station.#subscriber.send(`subscribe ${CHANNEL}`);
    await subscribed;
    station.#subscriber.onmessage = ({ data }) => station.#hear(data);
    return station;
  }

  /** Resolves when its publishes reach so many subscribers. */
  async reaches(subscribers: number): Promise<void> {
    await eventually(async () => {
      const { total } = await this.#backend.publish(CHANNEL, "before");
      if (total !== subscribers) throw new Error(`a publish reaches ${total} of ${subscribers} subscribers`);
    });
  }

  get published(): number {
    return this.outcomes.length;
  }

  send(): void {
    const n = this.outcomes.push(undefined) - 1;
    this.#backend.publish(CHANNEL, `${this.engine.nodeId} ${n}`).then(
      (count) => {
        this.outcomes[n] = count;
      },
      () => {
        this.outcomes[n] = "failed";
      },
    );
    if (this.#pusher.readyState !== WebSocket.OPEN) return;
    this.#pusher.send(`push ${TOPIC} ${JSON.stringify({ from: this.engine.nodeId, n: this.pushed++ })}`);
  }

  async close(): Promise<void> {
    this.#subscriber.close();
    this.#pusher.close();
    await this.#backend.close();
  }

  #hear(data: string): void {
    if (data === "before") return;
    const now = performance.now();
    if (this.#heardAt > 0) this.longestSilence = Math.max(this.longestSilence, now - this.#heardAt);
    this.#heardAt = now;
    const [from = "", n] = data.split(" ");
    note(this.heard, from, Number(n));
  }
}

/** Publishes and pushes at every engine without a pause, all numbered, until it is stopped. */
export class Traffic {
  readonly stations: Station[];
  readonly #timer: Timer;

  /** With `consumeAt`, only those engines have a consumer. */
  static async start(engines: Connmix[], consumeAt: Connmix[] = engines, everyMs = 5): Promise<Traffic> {
    const stations = await Promise.all(engines.map((engine) => Station.open(engine, consumeAt.includes(engine))));
    await Promise.all(stations.map((station) => station.reaches(stations.length)));
    return new Traffic(stations, everyMs);
  }

  private constructor(stations: Station[], everyMs: number) {
    this.stations = stations;
    this.#timer = setInterval(() => {
      for (const station of stations) station.send();
    }, everyMs);
  }

  at(engine: Connmix): Station {
    const station = this.stations.find((one) => one.engine === engine);
    if (station === undefined) throw new Error(`nobody is at engine ${engine.nodeId}`);
    return station;
  }

  /** Lets it run until every station in `among` has published `count` more. */
  async run(count: number, among = this.stations): Promise<void> {
    const goals = among.map((station) => station.published + count);
    await eventually(() => {
      if (!among.every((station, index) => station.published >= goals[index]!)) throw new Error("still publishing");
    }, 60_000);
  }

  /** Sends nothing more, waits until nothing more arrives anywhere, and closes all connections. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    let last = -1;
    await eventually(async () => {
      const before = last;
      last = this.#arrivals();
      if (last !== before) await Bun.sleep(300);
      if (last !== before) throw new Error("still arriving");
    }, 30_000);
    await Promise.all(this.stations.map((station) => station.close()));
  }

  /** How often each number that was pushed at `engine` was consumed, by anyone. */
  deliveries(engine: Connmix): number[] {
    const times = Array.from({ length: this.at(engine).pushed }, () => 0);
    for (const { consumed } of this.stations) {
      for (const n of consumed.get(engine.nodeId) ?? []) times[n] = (times[n] ?? 0) + 1;
    }
    return times;
  }

  #arrivals(): number {
    let count = 0;
    for (const { heard, consumed } of this.stations) {
      for (const arrivals of [heard, consumed]) for (const numbers of arrivals.values()) count += numbers.length;
    }
    return count;
  }
}

/**
 * Fails unless every publish of `stations` was heard by each of them, once and in order, and every push was consumed once,
 * with no silence longer than `silenceMs` meanwhile.
 */
export function expectNothingLost(traffic: Traffic, silenceMs: number): void {
  const { stations } = traffic;
  for (const { heard, outcomes, longestSilence } of stations) {
    expect(longestSilence).toBeLessThan(silenceMs);
    expect(outcomes.filter((outcome) => typeof outcome !== "object" || outcome.fail > 0)).toEqual([]);
    for (const { engine, published } of stations) expect(isComplete(heard.get(engine.nodeId), published)).toBe(true);
  }
  for (const { engine, pushed } of stations) {
    expect(countOf(traffic.deliveries(engine), 1)).toBe(pushed);
  }
}

/** Whether these are the numbers from 0 on, each once, in order. */
export function isComplete(numbers: number[] | undefined, count: number): boolean {
  return numbers?.length === count && numbers.every((n, index) => n === index);
}

export function isAscending(numbers: number[]): boolean {
  return numbers.every((n, index) => index === 0 || n > numbers[index - 1]!);
}

/** How often a count occurs in a list. */
export function countOf(numbers: number[], value: number): number {
  return numbers.filter((n) => n === value).length;
}

function note(arrivals: Arrivals, from: string, n: number): void {
  const numbers = arrivals.get(from);
  if (numbers === undefined) arrivals.set(from, [n]);
  else numbers.push(n);
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error(`cannot connect to ${socket.url}`));
  });
}

function nextMessage(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.onmessage = ({ data }) => resolve(data);
  });
}
