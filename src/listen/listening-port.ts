import type { Certificate, CertificatePair } from "./certificate.ts";

/** What `Bun.serve` and `Bun.listen` return. */
interface Listener {
  readonly port?: number | undefined;
  stop(closeConnections?: boolean): unknown;
}

/**
 * A port whose certificate may change. Bun cannot swap the certificate of a listener, so a new listener takes the port over
 * and the one before only keeps the connections it has. In between the port is closed for less than a millisecond.
 */
export class ListeningPort<L extends Listener> {
  /** The listener, and those before it whose connections may still be open. */
  readonly listeners: L[] = [];
  readonly #open: (port: number, certificate: CertificatePair | undefined) => L;
  readonly #certificate: Certificate | undefined;
  #port = 0;

  /** `open` makes a listener on a port (0: any free one). Without TLS there is no certificate. */
  constructor(
    open: (port: number, certificate: CertificatePair | undefined) => L,
    certificate: Certificate | undefined,
  ) {
    this.#open = open;
    this.#certificate = certificate;
  }

  /** Listens and returns the port. Throws what `open` throws. */
  listen(port: number): number {
    const listener = this.#open(port, this.#certificate?.pair);
    this.#port = listener.port ?? port;
    this.listeners.push(listener);
    if (this.#certificate !== undefined) this.#certificate.onChange = (pair) => this.#renew(pair);
    return this.#port;
  }

  /** Gives the port back; connections stay. Bun resolves it when the last one has gone, or never. */
  async stopListening(): Promise<void> {
    this.#certificate?.stop();
    await Promise.all(this.listeners.map((listener) => listener.stop(false)));
  }

  /** Ends every connection as well. */
  async terminate(): Promise<void> {
    this.#certificate?.stop();
    await Promise.all(this.listeners.map((listener) => listener.stop(true)));
  }

  #renew(pair: CertificatePair): void {
    const before = this.listeners.at(-1);
    const ended = before?.stop(false);
    // `Bun.serve` tells when the last connection has gone, `Bun.listen` does not.
    if (ended instanceof Promise) void ended.then(() => this.listeners.splice(this.listeners.indexOf(before!), 1));
    try {
      this.listeners.push(this.#open(this.#port, pair));
    } catch (thrown) {
      this.listeners.push(this.#open(this.#port, this.#certificate?.pair));
      throw thrown;
    }
  }
}
