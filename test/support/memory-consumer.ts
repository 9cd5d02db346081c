import type { Consumer, QueueMessage } from "../../src/hub/consumer.ts";

/** A consumer that keeps what it takes. */
export class MemoryConsumer implements Consumer {
  readonly got: QueueMessage[] = [];
  /** How many more it takes before it refuses. */
  room = Number.POSITIVE_INFINITY;
  /** Called before it takes or refuses. */
  onTake: () => void = () => {};

  constructor(
    readonly remote = false,
    private readonly share = 1,
  ) {}

  set reads(yes: boolean) {
    this.room = yes ? Number.POSITIVE_INFINITY : 0;
  }

  /** The messages as the numbers they carry. */
  get numbers(): number[] {
    return this.got.map((message) => JSON.parse(message.data));
  }

  take(message: QueueMessage): boolean {
    this.onTake();
    if (this.room <= 0) return false;
    this.room--;
    this.got.push(message);
    return true;
  }

  weight(): number {
    return this.share;
  }
}
