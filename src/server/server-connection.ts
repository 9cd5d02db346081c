import { Connection, type Failure, type Payload } from "../hub/connection.ts";
import type { Port } from "./port.ts";

/** Milliseconds a closing client has to take what is still waiting for it, and then to end its side. */
const CLOSE_GRACE_MS = 5000;
/** Why nothing can be sent any more. */
export const CLOSING = "the connection is closing";
/** Gathered messages are written before the turn's end when they are as long: text in UTF-16 units, bytes in bytes. */
const GATHER_LENGTH = 64 * 1024;

/**
 * What WebSocket and socket connections share: one write for all that is sent in a turn of the event loop, time-outs, the bound
 * on waiting bytes, and a close that lets what was sent before it go out first.
 */
export abstract class ServerConnection extends Connection {
  /** When the client last took bytes while some were waiting; 0 when none wait. */
  protected stalledSince = 0;
  /** True once `on_close` has been asked for, so that it runs once, whatever else ends the connection meanwhile. */
  ending = false;
  /** Sent in this turn and not written yet. */
  #gathered: Payload[] | undefined = undefined;
  #gatheredLength = 0;
  /** A close that waits for the client to take what was sent before it. */
  #closing: { code: number; reason: string } | undefined = undefined;
  /** When the grace of a closing client ends. */
  #closeBy = 0;

  constructor(id: number, remoteAddr: string, port: Port) {
    super(id, remoteAddr, port, port.sweeper.now);
  }

  /** The server port it came in by. */
  protected get port(): Port {
    return this.fanout as Port;
  }

  /** Ends the transport in the protocol's way, with nothing waiting any more. */
  protected abstract finish(code: number, reason: string): void;

  /** Ends the transport at once; what waits is lost. */
  protected abstract terminate(): void;

  /** Writes all of these, in one system call where that is possible; what the client does not take at once waits. */
  protected abstract put(payloads: readonly Payload[]): Failure;

  /** Has `data` written with whatever else this turn sends to the client. */
  protected gather(data: Payload): Failure {
    if (this.#gathered === undefined) {
      this.#gathered = [data];
      this.port.gathers(this);
    } else this.#gathered.push(data);
    this.#gatheredLength += data.length;
    return this.#gatheredLength > GATHER_LENGTH ? this.writeOut() : undefined;
  }

  /** Writes what has been gathered. */
  writeOut(): Failure {
    const gathered = this.#gathered;
    if (gathered === undefined) return undefined;
    this.#gathered = undefined;
    this.#gatheredLength = 0;
    return this.put(gathered);
  }

  override close(code = 1000, reason = ""): void {
    this.dismissed = true;
    this.writeOut();
    // Closed before, or just now because that was too much for it.
    if (!this.open) return;
    this.open = false;
    this.#closeBy = this.port.sweeper.now + CLOSE_GRACE_MS;
    // Bun drops what is buffered when a WebSocket is closed: wait until the client has taken it, for a while.
    if (this.waitingBytes() === 0) this.finish(code, reason);
    else this.#closing = { code, reason };
  }

  /** Closes for a reason of the server's own; `why` reaches `on_close` as its error. */
  fail(code: number, why: string): void {
    if (!this.open) return;
    this.closeReason ??= why;
    this.close(code, why);
  }

  /** The transport took bytes: everything that waited when `waitingBytes()` is 0. */
  protected drained(): void {
    if (this.waitingBytes() > 0) {
      this.stalledSince = this.port.sweeper.now;
      return;
    }
    this.stalledSince = 0;
    const closing = this.#closing;
    if (closing !== undefined) {
      this.#closing = undefined;
      this.#closeBy = this.port.sweeper.now + CLOSE_GRACE_MS;
      this.finish(closing.code, closing.reason);
    }
  }

  /** Called after bytes were left waiting: closes a client that is beyond its bound. */
  protected pressed(): void {
    if (this.stalledSince === 0) this.stalledSince = this.port.sweeper.now;
    const waiting = this.waitingBytes();
    if (waiting > this.port.limits.writeBufferSize) this.#tooSlow(`${waiting} bytes waited, more than writeBufferSize`);
  }

  /** Enforces what no event announces; called by the sweeper a few times a second. */
  sweep(now: number): void {
    const { limits } = this.port;
    if (!this.open) {
      if (now > this.#closeBy) this.terminate();
      return;
    }
    // A publish goes out natively and does not say whom it left behind: only subscribers need to be asked.
    if (this.stalledSince > 0 || this.channels !== undefined) {
      const waiting = this.waitingBytes();
      if (waiting === 0) this.stalledSince = 0;
      else {
        this.pressed();
        if (this.open && limits.writeTimeout > 0 && now - this.stalledSince > limits.writeTimeout * 1000) {
          this.#tooSlow(`${waiting} bytes waited, none taken for ${limits.writeTimeout} s (writeTimeout)`);
        }
      }
    }
    if (this.open && limits.readTimeout > 0 && now - this.lastRead > limits.readTimeout * 1000) {
      this.port.stats.readTimeouts++;
      this.port.log.debug(`client ${this.id} (${this.remoteAddr}) sent nothing for ${limits.readTimeout} s: closed`);
      this.fail(1000, `no bytes for ${limits.readTimeout} s`);
    }
  }

  #tooSlow(what: string): void {
    this.port.stats.slowClients++;
    this.port.throttled.warn("slow client", `client ${this.id} (${this.remoteAddr}) closed as too slow: ${what}`);
    this.fail(1013, "too slow: try again later");
  }
}
