/** What has become of a topic's messages. */
export interface Counts {
  pushed: number;
  popped: number;
  rejected: number;
}

/** Names with an entry of their own, so that a script cannot make entries without end. */
const MAX_NAMES = 200;
const OTHERS = "other";

/** Counts by topic since the start, which go on when a topic has been forgotten and comes back. */
export class TopicCounts {
  readonly #named = new Map<string, Counts>();
  /** Of topics with names beyond the first 200 that have been forgotten. */
  readonly #forgotten = noCounts();

  /** The counts that a topic goes on from. */
  open(name: string): Counts {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const counts = noCounts();
    if (this.#named.size < MAX_NAMES) this.#named.set(name, counts);
    return counts;
  }

  /** The topic is no more. */
  close(name: string, counts: Counts): void {
    if (!this.#named.has(name)) add(this.#forgotten, counts);
  }

  /** The first 200 topics by name, all further ones together as `other`. `open` are those that are not closed. */
  *totals(open: Iterable<{ name: string; counts: Counts }>): Generator<readonly [string, Counts]> {
    yield* this.#named;
    if (this.#named.size < MAX_NAMES) return;
    const others = { ...this.#forgotten };
    for (const { name, counts } of open) if (!this.#named.has(name)) add(others, counts);
    yield [OTHERS, others];
  }
}

export function noCounts(): Counts {
  return { pushed: 0, popped: 0, rejected: 0 };
}

function add(sum: Counts, { pushed, popped, rejected }: Counts): void {
  sum.pushed += pushed;
  sum.popped += popped;
  sum.rejected += rejected;
}
