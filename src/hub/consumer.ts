/** One message a script pushed: who it came from, and its `data` as JSON text, made once and embedded in every dialect's event. */
export interface QueueMessage {
  /** The client's id; 0 when no connection was involved (`init`). */
  readonly clientId: number;
  /** Node id of the engine the client is connected to. */
  readonly nodeId: string;
  readonly topic: string;
  /** JSON text. */
  readonly data: string;
}

/**
 * Someone who takes messages: an API connection, or a peer engine that has consumers. `take` may refuse by returning false
 * (it does not read); the queue then leaves it alone until `Queues.resume(consumer)`.
 */
export interface Consumer {
  /** True for a peer engine, false for an API connection of this node. */
  readonly remote: boolean;
  take(message: QueueMessage): boolean;
  /** Its share of the topic: 1 for an API connection, the number of its consumers for a peer engine. */
  weight(topic: string): number;
}
