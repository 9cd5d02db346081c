import type { Json } from "../json.ts";
import type { Connection, Failure, Payload } from "./connection.ts";
import { nameError } from "./name.ts";

/**
 * A set of connections that can be published to in one call: every server port is one. The hub decides who is subscribed;
 * a fanout knows how to reach all of its own subscribers cheaply (`server.publish` on WebSocket ports).
 */
export interface Fanout {
  subscribe(connection: Connection, channel: string): void;
  unsubscribe(connection: Connection, channel: string): void;
  /** Hands `data` to all of its `subscribers` of `channel`; returns how many it could not be handed to. */
  publish(channel: string, data: Payload, subscribers: number): number;
}

/** How many connections a publish was meant for, and how many of those it could not be handed to. */
export interface PublishCount {
  total: number;
  fail: number;
}

interface Channel {
  subscribers: number;
  /** Subscribers of each server port. */
  fanouts: Map<Fanout, number>;
}

/** Why nothing can be sent to `id`. */
export function noClient(id: number): string {
  return `no client ${id}: it has disconnected or never was`;
}

/** This node's connections, their contexts and channels. */
export class Hub {
  readonly #connections = new Map<number, Connection>();
  readonly #channels = new Map<string, Channel>();

  /** Called when a channel gets its first subscriber on this node (`true`) or loses its last one (`false`). */
  onInterest: (channel: string, interested: boolean) => void = () => {};

  /** Called when a value of a connection's context has been set: callbacks may wait for it. */
  onContext: (connection: Connection, key: string) => void = () => {};

  get connectionCount(): number {
    return this.#connections.size;
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  add(connection: Connection): void {
    this.#connections.set(connection.id, connection);
  }

  /** Forgets the connection and every subscription it had. The one place where a connection leaves, whatever ended it. */
  remove(connection: Connection): void {
    if (!this.#connections.delete(connection.id)) return;
    if (connection.channels === undefined) return;
    for (const channel of connection.channels) this.#leave(connection, channel);
    connection.channels = undefined;
  }

  get(id: number): Connection | undefined {
    return this.#connections.get(id);
  }

  connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  /** The channels with subscribers on this node. */
  channels(): IterableIterator<string> {
    return this.#channels.keys();
  }

  subscribers(channel: string): number {
    return this.#channels.get(channel)?.subscribers ?? 0;
  }

  setContextValue(connection: Connection, key: string, value: Json): void {
    connection.context ??= {};
    // defineProperty semantics for one key only: "__proto__" must become a plain value, not the prototype.
    if (key === "__proto__") {
      Object.defineProperty(connection.context, key, { value, writable: true, enumerable: true, configurable: true });
    } else {
      connection.context[key] = value;
    }
    this.onContext(connection, key);
  }

  /** Subscribes to all of the channels or, when one of the names is not possible, to none. */
  subscribeAll(connection: Connection, channels: readonly string[]): Failure {
    for (const channel of channels) {
      const error = nameError("channel", channel);
      if (error !== undefined) return error;
    }
    for (const channel of channels) {
      const failure = this.subscribe(connection, channel);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  subscribe(connection: Connection, channel: string): Failure {
    const error = nameError("channel", channel);
    if (error !== undefined) return error;
    if (this.#connections.get(connection.id) !== connection) return `connection ${connection.id} is closed`;
    connection.channels ??= new Set();
    if (connection.channels.has(channel)) return undefined;
    connection.channels.add(channel);
    let entry = this.#channels.get(channel);
    const first = entry === undefined;
    if (entry === undefined) {
      entry = { subscribers: 0, fanouts: new Map() };
      this.#channels.set(channel, entry);
    }
    entry.subscribers++;
    entry.fanouts.set(connection.fanout, (entry.fanouts.get(connection.fanout) ?? 0) + 1);
    connection.fanout.subscribe(connection, channel);
    if (first) this.onInterest(channel, true);
    return undefined;
  }

  /** Unsubscribing from a channel the connection is not in is no error. */
  unsubscribe(connection: Connection, channel: string): void {
    if (connection.channels?.delete(channel)) this.#leave(connection, channel);
  }

  /** Sends to one of this node's connections. */
  send(id: number, data: Payload): Failure {
    const connection = this.#connections.get(id);
    return connection === undefined ? noClient(id) : connection.send(data);
  }

  /** Publishes to this node's subscribers only; the mesh reaches the others. */
  publish(channel: string, data: Payload): PublishCount {
    const entry = this.#channels.get(channel);
    if (entry === undefined) return { total: 0, fail: 0 };
    let fail = 0;
    // Read before delivering: a subscriber may close, and so leave, while it is being written to.
    const total = entry.subscribers;
    for (const [fanout, subscribers] of entry.fanouts) fail += fanout.publish(channel, data, subscribers);
    return { total, fail };
  }

  #leave(connection: Connection, channel: string): void {
    const entry = this.#channels.get(channel);
    if (entry === undefined) return;
    connection.fanout.unsubscribe(connection, channel);
    entry.subscribers--;
    const left = (entry.fanouts.get(connection.fanout) ?? 1) - 1;
    if (left === 0) entry.fanouts.delete(connection.fanout);
    else entry.fanouts.set(connection.fanout, left);
    if (entry.subscribers > 0) return;
    this.#channels.delete(channel);
    this.onInterest(channel, false);
  }
}
