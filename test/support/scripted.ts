import { resolve } from "node:path";
import { Connection, type Failure, type Payload } from "../../src/hub/connection.ts";
import { type Fanout, Hub } from "../../src/hub/hub.ts";
import { Queues } from "../../src/hub/queue.ts";
import { loadScript } from "../../src/lua/runtime.ts";
import type { Handshake, Script, ScriptOptions, StreamConnection } from "../../src/lua/script.ts";
import { StreamBuffer } from "../../src/lua/stream-buffer.ts";
import type { Operations } from "../../src/mesh/operations.ts";
import { LogLines } from "./log-lines.ts";

const LIBRARIES = resolve(import.meta.dir, "../../lua");
const NOWHERE: Fanout = { subscribe() {}, unsubscribe() {}, publish: () => 0 };

export const HANDSHAKE: Handshake = {
  headers: { "user-agent": "test", host: "localhost:6790" },
  method: "GET",
  requestUri: "/chat?room=1",
  serverProtocol: "HTTP/1.1",
  host: "localhost:6790",
  remoteAddr: "192.0.2.1:5000",
};

let lastId = 1000;

/** A connection that records what is done to it. */
export class RecordedConnection extends Connection implements StreamConnection {
  readonly buffer = new StreamBuffer();
  readonly written: Payload[] = [];
  closedWith: [code: number | undefined, reason: string | undefined] | undefined;
  reading = true;

  constructor(
    private readonly owner: Script,
    private readonly protocol: "websocket" | "socket",
  ) {
    super(++lastId, "192.0.2.1:5000", NOWHERE, 0);
  }

  /** What was written, as text. */
  get texts(): string[] {
    return this.written.map((data) => (typeof data === "string" ? data : new TextDecoder().decode(data)));
  }

  /** Everything that was written since the last call. */
  taken(): Buffer {
    return Buffer.concat(this.written.splice(0).map((data) => Buffer.from(data as string)));
  }

  override write(data: Payload): Failure {
    this.written.push(data);
    return undefined;
  }

  override send(data: Payload): Failure {
    const encoded = this.protocol === "socket" ? this.owner.encode(this, data) : data;
    return typeof encoded === "object" && "error" in encoded ? encoded.error : this.write(encoded);
  }

  override close(code?: number, reason?: string): void {
    this.open = false;
    this.closedWith ??= [code, reason];
  }

  override waitingBytes(): number {
    return 0;
  }

  pauseReading(): void {
    this.reading = false;
  }

  resumeReading(): void {
    this.reading = true;
  }

  packetRead(): void {}

  /** As with a `readBufferSize` of 1 MiB. */
  refusePacket(length: number): boolean {
    if (length <= 1024 * 1024) return false;
    this.close(1009, `a packet of ${length} bytes`);
    return true;
  }

  message(data: Payload): void {
    this.owner.message(this, data);
  }

  /** Hands over what arrives, in chunks of `size` bytes, each a copy as from a socket. */
  feed(data: Uint8Array | string, size = Number.POSITIVE_INFINITY): void {
    const bytes = Buffer.from(data as string);
    for (let at = 0; at < bytes.length && this.open; at += size) {
      this.buffer.append(new Uint8Array(bytes.subarray(at, Math.min(bytes.length, at + size))));
      this.owner.received(this);
    }
  }

  end(): void {
    this.open = false;
    this.owner.closed(this);
  }
}

/** An entry script in its VM, with a real hub and real queues around it and no server. */
export class Scripted {
  readonly hub = new Hub();
  readonly queues = new Queues({ topicSize: 10, maxTopics: 10, maxBytes: 1_000_000_000 });
  readonly #log = new LogLines();
  readonly script: Script;
  readonly closed: number[] = [];
  readonly #protocol: "websocket" | "socket";

  constructor(
    entry: string | { path: string },
    options: Partial<ScriptOptions> = {},
    operations: Partial<Operations> = {},
  ) {
    const { hub, queues } = this;
    this.#protocol = options.protocol ?? "websocket";
    const local: Partial<Operations> = {
      send: (id, data) => {
        const connection = hub.get(id);
        return connection === undefined ? `no client ${id}` : connection.send(data);
      },
      publish: (channel, data) => hub.publish(channel, data),
      push: (clientId, topic, data) => queues.push({ clientId, nodeId: "n", topic, data }),
      declareTopic: (topic, size) => queues.declare(topic, size),
      ...operations,
    };
    this.script = loadScript({
      entry: typeof entry === "string" ? { name: "lua/test.lua", source: entry } : entry,
      protocol: this.#protocol,
      libraryFolders: [LIBRARIES],
      builtins: {},
      byteCodeExpires: 0,
      maxExecTime: () => 2000,
      mailbox: { messages: 100, bytes: 100_000 },
      host: {
        hub,
        operations: local as Operations,
        log: this.#log,
        nodeId: "n",
        options: { path: "/chat", size: 5 },
        redis: [],
      },
      ...options,
    });
    this.script.onClosed = (connection) => {
      hub.remove(connection);
      this.closed.push(connection.id);
    };
  }

  connect(handshake?: Handshake): RecordedConnection {
    const connection = new RecordedConnection(this.script, this.#protocol);
    this.hub.add(connection);
    this.script.opened(connection, handshake);
    return connection;
  }

  get log(): string[] {
    return this.#log.lines;
  }

  /** What was logged as warning or error. */
  get complaints(): string[] {
    return this.log.filter((line) => /^(warn|error) /.test(line));
  }

  /** Messages that wait in a topic, as JSON text. */
  taken(topic: string): string[] {
    const taken: string[] = [];
    const consumer = { remote: false, weight: () => 1, take: ({ data }: { data: string }) => taken.push(data) > 0 };
    this.queues.addConsumer(topic, consumer);
    this.queues.removeConsumer(topic, consumer);
    return taken;
  }
}

/** Runs Lua in a callback; returns what it sends with `send(…)`, and fails the test when it raises. */
export function run(body: string, options: Partial<ScriptOptions> = {}): string[] {
  const scripted = new Scripted(
    `local function send(...)
       local values = table.pack(...)
       for i = 1, values.n do values[i] = tostring(values[i]) end
       mix.websocket():send(table.concat(values, " "))
     end
     function on_message(msg, conn) ${body} end`,
    options,
  );
  const connection = scripted.connect();
  connection.message("go");
  const problem = scripted.log.find((line) => line.startsWith("error"));
  if (problem !== undefined) throw new Error(problem);
  return connection.texts;
}
