import { backOff } from "../registry/back-off.ts";
import { LINK_SOCKET, type Link } from "./link.ts";
import type { Peer } from "./peer.ts";

/** Longest wait between two attempts, in milliseconds. */
const LONGEST_WAIT = 5000;

/** Keeps up the link to one peer that this engine dials, with growing pauses while that fails. */
export class Dialer {
  readonly #peer: Peer;
  readonly #createLink: (peer: Peer, failed: () => void) => Link;
  #failures = 0;
  #timer: Timer | undefined;
  #stopped = false;

  /** `createLink` gives the link to connect, with its handshake; it calls `failed` when the link ends before that is done. */
  constructor(peer: Peer, createLink: (peer: Peer, failed: () => void) => Link) {
    this.#peer = peer;
    this.#createLink = createLink;
    peer.onUnlinked = () => {
      // Not at once: a peer that ends every link again would be dialed in a busy loop.
      this.#failures = 0;
      this.#again();
    };
    this.#dial();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #dial(): void {
    if (this.#stopped || this.#peer.link !== undefined) return;
    const { host, meshPort } = this.#peer.record;
    const link = this.#createLink(this.#peer, () => this.#again());
    // `connectError` has told the link already when this rejects.
    Bun.connect({ hostname: host, port: meshPort, socket: LINK_SOCKET, data: link }).catch((error) =>
      link.close(`cannot connect: ${error}`),
    );
  }

  #again(): void {
    if (this.#stopped) return;
    this.#failures++;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), backOff(this.#failures, LONGEST_WAIT));
  }
}
