import type { TCPSocketListener } from "bun";
import { messageOf, UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ThrottledLog } from "../throttled-log.ts";
import { ANOTHER_ENGINE, type Greeting, Handshake, type HandshakeEvents, type Identity } from "./handshake.ts";
import { LINK_SOCKET, Link, type LinkLimits } from "./link.ts";
import type { Peer } from "./peer.ts";

/** Most connections at a time from which nobody has proved yet who it is. */
const MAX_STRANGERS = 1024;
/** Nobody dials a lower node id: whoever does wants the engine that had this address before, or has it as well. */
const NOT_MEANT = `${ANOTHER_ENGINE}: of two engines the one with the lower node id dials (if it stays so, see cluster.advertise)`;
const NOT_A_MEMBER = "not a member of this cluster, or not yet known here as one";

export interface DoorLimits extends LinkLimits {
  /** Milliseconds a member may be without its link before that counts: one that died is off the list by then. */
  linkPatience: number;
}

/** Where links begin: the mesh port, and every link, dialed or accepted, until the peer on it has proved who it is. */
export class Door implements HandshakeEvents {
  /** Links that ended before that, refusals and failed connections included. */
  failed = 0;
  readonly #identity: Identity;
  readonly #limits: DoorLimits;
  readonly #peers: ReadonlyMap<string, Peer>;
  readonly #log: Log;
  readonly #throttled: ThrottledLog;
  readonly #strangers = new Set<Link>();
  #server: TCPSocketListener<Link> | undefined;
  #closed = false;

  /** `peers` are the members by node id, as they are at the time. */
  constructor(
    identity: Identity,
    limits: DoorLimits,
    peers: ReadonlyMap<string, Peer>,
    log: Log,
    throttled: ThrottledLog,
  ) {
    this.#identity = identity;
    this.#limits = limits;
    this.#peers = peers;
    this.#log = log;
    this.#throttled = throttled;
  }

  /** Opens the port, 0 for any free one, and returns it. Throws a `UserError` when it cannot be opened. */
  listen(bind: string, port: number): number {
    try {
      this.#server = Bun.listen<Link>({
        hostname: bind,
        port,
        socket: {
          ...LINK_SOCKET,
          open: (socket) => {
            socket.data = this.#accept();
            socket.data.opened(socket);
            if (this.#strangers.size > MAX_STRANGERS) socket.data.close("too many handshakes at a time");
          },
        },
      });
      return this.#server.port;
    } catch (error) {
      const inUse = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      throw new UserError(
        inUse
          ? `the mesh port ${port} on ${bind} is in use: stop the program that has it, or choose another engine.meshPoint.port`
          : `cannot listen for the mesh on ${bind}:${port} (engine.meshPoint): ${messageOf(error)}`,
      );
    }
  }

  /** A link to be connected to the peer; `failed` is called when it ends before the handshake is done. */
  dial(peer: Peer, failed: () => void): Link {
    const link = new Link(this.#limits);
    const early = () => performance.now() - peer.knownSince < this.#limits.linkPatience;
    this.#watch(link, () => `to ${peer.name}`, early, failed);
    new Handshake(link, this.#identity, this, { nodeId: peer.record.id, session: peer.session });
    return link;
  }

  tick(now: number): void {
    for (const link of this.#strangers) link.tick(now);
  }

  /** Nobody comes in any more. Links that are up stay. */
  close(): void {
    this.#closed = true;
    this.#server?.stop();
    for (const link of this.#strangers) link.close("this engine stops");
  }

  admit(nodeId: string): { session: string } | { refusal: string } {
    if (nodeId >= this.#identity.nodeId) return { refusal: NOT_MEANT };
    const peer = this.#peers.get(nodeId);
    return peer === undefined ? { refusal: NOT_A_MEMBER } : { session: peer.session };
  }

  done(link: Link, greeting: Greeting): void {
    this.#strangers.delete(link);
    const peer = this.#peers.get(greeting.node);
    if (peer === undefined) link.close("it has left the cluster meanwhile");
    else peer.attach(link, greeting);
  }

  #accept(): Link {
    const link = new Link(this.#limits);
    this.#watch(
      link,
      () => `from ${link.remoteAddress}`,
      // The dialing side knows who was meant, and warns.
      () => true,
      () => {},
    );
    new Handshake(link, this.#identity, this);
    return link;
  }

  /** `early`: whether the address may have been that of an engine that died, and will soon be off the list. */
  #watch(link: Link, whose: () => string, early: () => boolean, failed: () => void): void {
    this.#strangers.add(link);
    link.onClosed = (reason) => {
      this.#strangers.delete(link);
      if (this.#closed) return;
      this.failed++;
      const message = `no mesh link ${whose()}: ${reason}`;
      // Of two engines that learn of each other one is first; it tries again in a moment.
      if (reason.includes(NOT_A_MEMBER) || (reason.includes(ANOTHER_ENGINE) && early())) this.#log.debug(message);
      else this.#throttled.warn(`handshake ${whose()}`, message);
      failed();
    };
  }
}
