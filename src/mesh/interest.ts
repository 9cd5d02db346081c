import type { Peer } from "./peer.ts";

/** Which peers have subscribers for which channels, as they told. */
export class Interest {
  readonly #byChannel = new Map<string, Set<Peer>>();
  readonly #byPeer = new Map<Peer, Set<string>>();

  /** The peers to forward a publish to; `undefined` when there are none. */
  peers(channel: string): ReadonlySet<Peer> | undefined {
    return this.#byChannel.get(channel);
  }

  channels(peer: Peer): ReadonlySet<string> | undefined {
    return this.#byPeer.get(peer);
  }

  add(peer: Peer, channel: string): void {
    let channels = this.#byPeer.get(peer);
    if (channels === undefined) {
      channels = new Set();
      this.#byPeer.set(peer, channels);
    }
    channels.add(channel);
    const peers = this.#byChannel.get(channel);
    if (peers === undefined) this.#byChannel.set(channel, new Set([peer]));
    else peers.add(peer);
  }

  remove(peer: Peer, channel: string): void {
    this.#byPeer.get(peer)?.delete(channel);
    const peers = this.#byChannel.get(channel);
    if (peers === undefined) return;
    peers.delete(peer);
    if (peers.size === 0) this.#byChannel.delete(channel);
  }

  /** Exactly these channels, at one stroke: what stays is never missing in between. */
  replace(peer: Peer, channels: ReadonlySet<string>): void {
    for (const channel of this.#byPeer.get(peer) ?? []) if (!channels.has(channel)) this.remove(peer, channel);
    for (const channel of channels) this.add(peer, channel);
  }

  forget(peer: Peer): void {
    for (const channel of this.#byPeer.get(peer) ?? []) this.remove(peer, channel);
    this.#byPeer.delete(peer);
  }
}
