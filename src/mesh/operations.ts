import type { CallResult } from "../hub/calls.ts";
import type { Failure, Payload } from "../hub/connection.ts";
import type { Consumer } from "../hub/consumer.ts";
import type { PublishCount } from "../hub/hub.ts";
import type { Json } from "../json.ts";

/** A result that is there at once when the owner is this node, and awaited only when a peer has to answer. */
export type Soon<T> = T | Promise<T>;

/**
 * What can be done from any engine to any client, channel or topic of the cluster. The API server and the Lua library
 * know the cluster only through this; none of these ever rejects.
 */
export interface Operations {
  /** Sends to one connection, wherever it is. The result is why it failed. */
  send(clientId: number, data: Payload): Soon<Failure>;
  /** Publishes to every subscriber of the channel on every engine. */
  publish(channel: string, data: Payload): Soon<PublishCount>;
  /** Runs one of the `conn.call` functions on a connection, wherever it is. */
  call(clientId: number, func: string, args: Json[]): Soon<CallResult>;
  /**
   * Keeps `data` (JSON text) in a topic of this engine until one consumer anywhere takes it. Returns how many wait here
   * now, or why it was refused.
   */
  push(clientId: number, topic: string, data: string): number | { error: string };
  /** Gives a topic of this engine a size of its own. */
  declareTopic(topic: string, size: number): { error: string } | undefined;
  /** False when this consumer already has the topic. */
  consume(topic: string, consumer: Consumer): boolean | { error: string };
  unconsume(topic: string, consumer: Consumer): boolean;
  /** The consumer reads again. */
  resume(topic: string, consumer: Consumer): void;
}
