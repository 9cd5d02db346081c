import { messageOf } from "../errors.ts";
import { backOff } from "../registry/back-off.ts";
import type { Door } from "./door.ts";
import { LINK_SOCKET, type Link } from "./link.ts";
import type { Peer } from "./peer.ts";

/** Longest wait between two attempts, in milliseconds. */
const LONGEST_WAIT = 5000;

/** Keeps up the link to one peer that this engine dials, with growing pauses while that fails. */
export class Dialer {
  readonly #peer: Peer;
  readonly #door: Door;
  #failures = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(peer: Peer, door: Door) {
    this.#peer = peer;
    this.#door = door;
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
    this.#connect(this.#door.dial(this.#peer, () => this.#again()));
  }

  async #connect(link: Link): Promise<void> {
    const { host, meshPort } = this.#peer.record;
    try {
      await Bun.connect({ hostname: host, port: meshPort, socket: LINK_SOCKET, data: link });
    } catch (error) {
      // A refused connection was told by `connectError` already; this is for what cannot even be tried.
      link.close(`cannot connect: ${messageOf(error)}`);
    }
  }

  #again(): void {
    if (this.#stopped) return;
    this.#failures++;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), backOff(this.#failures, LONGEST_WAIT));
  }
}
