import type { Socket } from "bun";
import { FrameCounter, LineCounter, type PacketCounter, takeFrame, textFrame } from "./frame.ts";
import type { Target } from "./load.ts";

/** What a load does with one of its connections' packets. */
export type OnPackets = (wire: Wire, packets: number) => void;

const END_OF_HEAD = new TextEncoder().encode("\r\n\r\n");
const OPEN_TIMEOUT_MS = 20_000;

/** A message as this target takes it on the wire. */
export function encode(target: Target, message: string): Uint8Array {
  return target.protocol === "websocket" ? textFrame(message) : new TextEncoder().encode(`${message}\n`);
}

/** One raw TCP connection of a load, past its handshake and greetings. Packets are counted by their headers only. */
export class Wire {
  /** The last greeting; loads read ids from it. */
  greeting = "";
  onPackets: OnPackets = () => {};
  /** The connection ended, or sent what it should not have. */
  onEnd: (error: Error) => void = () => {};
  readonly #socket: Socket<Wire>;
  readonly #target: Target;
  readonly #counter: PacketCounter;
  readonly #ready: (wire: Wire) => void;
  readonly #failed: (error: Error) => void;
  /** Bytes that have come before the connection was ready; undefined from then on. */
  #early: Uint8Array | undefined = new Uint8Array(0);
  #upgraded: boolean;
  #greetings = 0;
  #unsent: Uint8Array | undefined;

  constructor(
    socket: Socket<Wire>,
    target: Target,
    readonly number: number,
    longest: number | undefined,
    ready: (wire: Wire) => void,
    failed: (error: Error) => void,
  ) {
    this.#socket = socket;
    this.#target = target;
    this.#counter = target.protocol === "websocket" ? new FrameCounter(longest) : new LineCounter();
    this.#ready = ready;
    this.#failed = failed;
    this.#upgraded = target.protocol === "lines";
    if (this.#upgraded) this.#start();
    else this.write(new TextEncoder().encode(upgradeRequest(target, number)));
  }

  /** Writes all of it, now or as the socket drains. */
  write(bytes: Uint8Array): void {
    if (this.#unsent !== undefined) {
      this.#unsent = Buffer.concat([this.#unsent, bytes]);
      return;
    }
    const written = this.#socket.write(bytes);
    if (written < bytes.length) this.#unsent = bytes.slice(Math.max(0, written));
  }

  drain(): void {
    const bytes = this.#unsent;
    if (bytes === undefined) return;
    this.#unsent = undefined;
    this.write(bytes);
  }

  data(chunk: Uint8Array): void {
    if (this.#early !== undefined) {
      this.#open(chunk);
      return;
    }
    const packets = this.#counter.count(chunk);
    if (packets > 0) this.onPackets(this, packets);
  }

  ended(error: Error): void {
    if (this.#early !== undefined) this.#failed(error);
    else this.onEnd(error);
  }

  terminate(): void {
    this.onEnd = () => {};
    this.#socket.terminate();
  }

  /** The slow path, until the last greeting: here content matters. */
  #open(chunk: Uint8Array): void {
    let bytes: Uint8Array = Buffer.concat([this.#early!, chunk]);
    if (!this.#upgraded) {
      const end = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(END_OF_HEAD);
      if (end !== -1) {
        const head = new TextDecoder("latin1").decode(bytes.subarray(0, end));
        if (!/^HTTP\/1\.1 101 /.test(head)) {
          this.#failed(new Error(`port ${this.#target.port} refused the upgrade: ${head.split("\r\n", 1)[0]}`));
          return;
        }
        this.#upgraded = true;
        bytes = bytes.subarray(end + END_OF_HEAD.length);
        this.#greet();
      }
    }
    if (this.#upgraded) {
      const wanted = this.#target.greetings ?? 0;
      while (this.#greetings < wanted) {
        const taken = this.#target.protocol === "websocket" ? takeFrame(bytes) : takeLine(bytes);
        if (taken === undefined) break;
        this.greeting = taken.payload;
        bytes = taken.rest;
        this.#greetings++;
        this.#greet();
      }
      if (this.#greetings === wanted) {
        this.#early = undefined;
        this.#ready(this);
        if (bytes.length > 0) this.data(bytes);
        return;
      }
    }
    this.#early = bytes;
  }

  /** Line protocols have no handshake: without greetings to wait for, the connection is ready at once. */
  #start(): void {
    this.#greet();
    if ((this.#target.greetings ?? 0) > 0) return;
    this.#early = undefined;
    // The constructor has not returned: whoever waits gets a wire it can use.
    queueMicrotask(() => this.#ready(this));
  }

  /** Sends what is due after as many greetings as have come. */
  #greet(): void {
    for (const { after, message } of this.#target.hello ?? []) {
      if (after === this.#greetings) this.write(encode(this.#target, numbered(message, this.number)));
    }
  }
}

function takeLine(bytes: Uint8Array): { payload: string; rest: Uint8Array } | undefined {
  const end = bytes.indexOf(10);
  if (end === -1) return undefined;
  return { payload: new TextDecoder().decode(bytes.subarray(0, end)), rest: bytes.subarray(end + 1) };
}

function numbered(text: string, number: number): string {
  return text.replaceAll("{i}", String(number)).replaceAll("{room}", String(Math.floor(number / 10)));
}

function upgradeRequest(target: Target, number: number): string {
  return [
    `GET ${numbered(target.path ?? "/", number)} HTTP/1.1`,
    `Host: 127.0.0.1:${target.port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "\r\n",
  ].join("\r\n");
}

/** One set of handlers for all connections: Bun keeps the connection itself in `socket.data`. */
const handlers = {
  data: (socket: Socket<Wire>, chunk: Buffer) => socket.data.data(chunk),
  drain: (socket: Socket<Wire>) => socket.data.drain(),
  close: (socket: Socket<Wire>) => socket.data?.ended(new Error("the server closed a connection")),
  error: (socket: Socket<Wire>, error: Error) => socket.data?.ended(error),
};

/** Opens one connection and waits until it is ready. */
export function connect(target: Target, number = 0, longest?: number): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`port ${target.port} did not answer within ${OPEN_TIMEOUT_MS} ms`)),
      OPEN_TIMEOUT_MS,
    );
    const settle = (wire: Wire) => {
      clearTimeout(timer);
      resolve(wire);
    };
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    Bun.connect<Wire>({
      hostname: "127.0.0.1",
      port: target.port,
      socket: {
        ...handlers,
        open: (socket) => {
          socket.data = new Wire(socket, target, number, longest, settle, fail);
        },
        connectError: (_, error) => fail(error),
      },
    }).catch(fail);
  });
}

const OPENING_AT_ONCE = 100;

/** Opens `count` connections, spread over the targets in turn. */
export async function connectAll(targets: readonly Target[], count: number, longest?: number): Promise<Wire[]> {
  const wires: Wire[] = [];
  while (wires.length < count) {
    const first = wires.length;
    const batch = Array.from({ length: Math.min(OPENING_AT_ONCE, count - first) }, (_, i) =>
      connect(targets[(first + i) % targets.length]!, first + i, longest),
    );
    wires.push(...(await Promise.all(batch)));
  }
  return wires;
}
