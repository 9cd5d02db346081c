import { plainAddress } from "../this-machine.ts";
import type { ThrottledLog } from "../throttled-log.ts";
import type { PortStats } from "./port.ts";
import { readProxyHeader } from "./proxy-protocol.ts";

/** Milliseconds a trusted proxy has to send its header. */
const GREETING_MS = 5000;

/** An accepted TCP connection. */
interface Accepted {
  readonly remoteAddress: string;
  readonly remotePort: number;
  terminate(): void;
}

/** Whom a proxy speaks for, and the client's own bytes that came with its header. */
export interface Greeted {
  address: string;
  port: number;
  rest: Buffer;
}

/** Connections of trusted proxies that have not said yet whom they speak for. Those that do not say it are closed. */
export class ProxyGreetings<S extends Accepted> {
  readonly #waiting = new Map<S, { bytes: Buffer; timer: Timer }>();
  readonly #stats: PortStats;
  readonly #throttled: ThrottledLog;

  constructor(stats: PortStats, throttled: ThrottledLog) {
    this.#stats = stats;
    this.#throttled = throttled;
  }

  begin(socket: S): void {
    const timer = setTimeout(() => this.#refuse(socket, `no header within ${GREETING_MS / 1000} s`), GREETING_MS);
    this.#waiting.set(socket, { bytes: Buffer.alloc(0), timer });
  }

  /** Takes what arrived; returns the greeting once it is complete. */
  take(socket: S, chunk: Buffer): Greeted | undefined {
    const greeting = this.#waiting.get(socket);
    if (greeting === undefined) return undefined;
    greeting.bytes = Buffer.concat([greeting.bytes, chunk]);
    const header = readProxyHeader(greeting.bytes);
    if (header === "incomplete") return undefined;
    if (header === "absent" || header === "malformed") {
      this.#refuse(socket, header === "absent" ? "it began with something else" : "its header is malformed");
      return undefined;
    }
    this.end(socket);
    const { address, port } = header.source ?? { address: socket.remoteAddress, port: socket.remotePort };
    return { address, port, rest: greeting.bytes.subarray(header.length) };
  }

  /** The connection is gone, or has greeted. */
  end(socket: S): void {
    clearTimeout(this.#waiting.get(socket)?.timer);
    this.#waiting.delete(socket);
  }

  #refuse(socket: S, why: string): void {
    this.end(socket);
    this.#stats.protocolErrors++;
    this.#throttled.warn(
      "no PROXY header",
      `proxy ${plainAddress(socket.remoteAddress)} closed: expected a PROXY protocol header (proxyProtocol), but ${why}`,
    );
    socket.terminate();
  }
}
