import { resolve } from "node:path";
import { Connection, type Failure, type Payload } from "../../src/hub/connection.ts";
import { type Fanout, Hub } from "../../src/hub/hub.ts";
import { loadScript } from "../../src/lua/runtime.ts";
import type { Script, ScriptOptions, StreamConnection } from "../../src/lua/script.ts";
import { StreamBuffer } from "../../src/lua/stream-buffer.ts";
import type { Operations } from "../../src/mesh/operations.ts";

const LIBRARIES = resolve(import.meta.dir, "../../lua");

export interface LoadedScript {
  script: Script;
  /** What was logged as warning or error. */
  complaints: string[];
  /** What was pushed to queues: topic and JSON. */
  pushed: [topic: string, data: string][];
  hub: Hub;
}

/** A script in its VM with nothing around it: no server, no mesh. */
export function load(source: string, protocol: "websocket" | "socket" = "socket"): LoadedScript {
  const complaints: string[] = [];
  const pushed: [string, string][] = [];
  const hub = new Hub();
  const complain = (message: string) => void complaints.push(message);
  const operations: Partial<Operations> = {
    publish: (channel, data) => hub.publish(channel, data),
    send: (id, data) => hub.get(id)?.send(data),
    push: (_id, topic, data) => pushed.push([topic, data]),
    declareTopic: () => undefined,
  };
  const options: ScriptOptions = {
    entry: { name: "test.lua", source },
    protocol,
    libraryFolders: [LIBRARIES],
    builtins: {},
    byteCodeExpires: 0,
    maxExecTime: () => 5000,
    mailbox: { messages: 1000, bytes: 1 << 24 },
    host: {
      hub,
      operations: operations as Operations,
      log: { debug: () => {}, info: () => {}, warn: complain, error: complain },
      nodeId: "test",
      options: {},
      redis: [],
    },
  };
  return { script: loadScript(options), complaints, pushed, hub };
}

const nowhere: Fanout = { subscribe: () => {}, unsubscribe: () => {}, publish: () => 0 };
let lastId = 0;

/** A TCP client of a script: `receive` is what arrives from it, `sent` what it was sent. */
export class ScriptClient extends Connection implements StreamConnection {
  readonly buffer = new StreamBuffer();
  readonly #script: Script;
  readonly #sent: Uint8Array[] = [];

  constructor(loaded: LoadedScript) {
    super(++lastId, "127.0.0.1:1", nowhere, 0);
    this.#script = loaded.script;
    loaded.hub.add(this);
    this.#script.opened(this);
  }

  /** Hands over `bytes` in chunks of `size`, each a copy as from a socket. */
  receive(bytes: Uint8Array | string, size = Number.POSITIVE_INFINITY): void {
    const all = Buffer.from(bytes);
    for (let at = 0; at < all.length && this.open; at += size) {
      this.buffer.append(new Uint8Array(all.subarray(at, Math.min(all.length, at + size))));
      this.#script.received(this);
    }
  }

  /** Everything it was sent since the last call. */
  taken(): Buffer {
    return Buffer.concat(this.#sent.splice(0));
  }

  /** The connection is gone. */
  end(): void {
    this.open = false;
    this.#script.closed(this);
  }

  override write(data: Payload): Failure {
    if (!this.open) return "the connection is closing";
    this.#sent.push(Buffer.from(data as string));
    return undefined;
  }

  override send(data: Payload): Failure {
    const encoded = this.#script.encode(this, data);
    return encoded instanceof Uint8Array ? this.write(encoded) : encoded.error;
  }

  override close(): void {
    this.open = false;
  }

  override waitingBytes(): number {
    return 0;
  }

  pauseReading(): void {}
  resumeReading(): void {}
  packetRead(): void {}
}
