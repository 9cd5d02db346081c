import type { Consumer, QueueMessage } from "../hub/consumer.ts";
import type { Operations } from "../mesh/operations.ts";
import { API_ERROR, ApiError } from "./api-error.ts";
import type { Dialect, EventFrame } from "./dialects.ts";
import { eventFrame, eventText } from "./dialects.ts";

/** Where events go: the session's socket. */
export interface EventSink {
  /** False when the event could not be accepted, not even for later. */
  sendText(text: string): boolean;
  waitingBytes(): number;
}

/**
 * The topics one API connection consumes. Events stop while more than `pauseAbove` bytes wait for the client to read, and go on
 * when it has; until then messages stay in their topics, for this consumer or another.
 */
export class ApiConsumer implements Consumer {
  readonly remote = false;
  readonly #sink: EventSink;
  readonly #operations: Operations;
  readonly #pauseAbove: number;
  readonly #topics = new Map<string, EventFrame>();
  #paused = false;

  constructor(sink: EventSink, operations: Operations, pauseAbove: number) {
    this.#sink = sink;
    this.#operations = operations;
    this.#pauseAbove = pauseAbove;
  }

  get topicCount(): number {
    return this.#topics.size;
  }

  /** True while no messages are taken: until `resume`. */
  get held(): boolean {
    return this.#paused;
  }

  /**
   * Adds all topics or none. Events begin with `resume`, which the session calls after it has sent the reply, so that a client
   * never sees an event before the answer to its consume request.
   */
  consume(topics: ReadonlySet<string>, dialect: Dialect): ApiError | undefined {
    const taken = [...topics].filter((topic) => this.#topics.has(topic));
    if (taken.length > 0) {
      return new ApiError(
        API_ERROR.alreadyConsuming,
        `this connection already consumes ${taken.map((topic) => JSON.stringify(topic)).join(", ")}; nothing was added`,
      );
    }
    this.#paused = true;
    const added: string[] = [];
    for (const topic of topics) {
      const result = this.#operations.consume(topic, this);
      if (result === true) {
        added.push(topic);
        continue;
      }
      for (const undone of added) this.#operations.unconsume(undone, this);
      const reason = result === false ? "it has this consumer already" : result.error;
      return new ApiError(API_ERROR.consume, `cannot consume ${JSON.stringify(topic)}: ${reason}; nothing was added`);
    }
    for (const topic of topics) this.#topics.set(topic, eventFrame(dialect, topic));
    return undefined;
  }

  unconsumeAll(): void {
    for (const topic of this.#topics.keys()) this.#operations.unconsume(topic, this);
    this.#topics.clear();
  }

  take(message: QueueMessage): boolean {
    const frame = this.#topics.get(message.topic);
    if (this.#paused || frame === undefined) return false;
    if (!this.#sink.sendText(eventText(frame, message.nodeId, message.clientId, message.data))) return false;
    if (this.#sink.waitingBytes() > this.#pauseAbove) this.#paused = true;
    return true;
  }

  weight(): number {
    return 1;
  }

  /** Goes on taking messages if that had stopped and little enough waits for the client now. */
  resume(): void {
    if (!this.#paused || this.#sink.waitingBytes() > this.#pauseAbove / 2) return;
    this.#paused = false;
    for (const topic of this.#topics.keys()) this.#operations.resume(topic, this);
  }
}
