import type { NodeLoad, NodeRecord } from "./registry.ts";

/**
 * The members as one node sees them. A registry that comes back after an outage may not know everyone yet, because the
 * others are still on their way back to it; so members known before are held for a while (`hold`), unless the registry
 * says that they left.
 */
export class Members {
  #listed = new Map<string, NodeRecord>();
  #held = new Map<string, NodeRecord>();
  #holding: Timer | undefined;
  #reported = "[]";
  #stopped = false;

  /** `onChange` is called with the full list, ordered by id, whenever it differs from the last one. */
  constructor(readonly onChange: (members: NodeRecord[]) => void) {}

  /** Takes over what the registry lists now. */
  replace(nodes: Iterable<NodeRecord>): void {
    this.#listed = new Map();
    for (const node of nodes) this.#listed.set(node.id, node);
    this.#report();
  }

  /** Adds a node, or replaces what is known of it. */
  add(node: NodeRecord): void {
    this.#listed.set(node.id, node);
    this.#report();
  }

  /** What the listed nodes were doing at their last renewal. */
  setLoads(loads: [id: string, load: NodeLoad][]): void {
    for (const [id, load] of loads) {
      const node = this.#listed.get(id);
      if (node !== undefined) this.#listed.set(id, { ...node, load });
    }
    this.#report();
  }

  /** The registry says that this node has left or died. */
  remove(id: string): void {
    this.#listed.delete(id);
    this.#held.delete(id);
    this.#report();
  }

  /** The registry is away: nobody who is held is given up before it is back (`hold`). */
  freeze(): void {
    clearTimeout(this.#holding);
  }

  /** Keeps everyone known now for `milliseconds`, listed or not. */
  hold(milliseconds: number): void {
    for (const [id, node] of this.#listed) this.#held.set(id, node);
    clearTimeout(this.#holding);
    this.#holding = setTimeout(() => {
      this.#held.clear();
      this.#report();
    }, milliseconds);
  }

  /** This node has left: nothing is reported any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#holding);
  }

  #report(): void {
    if (this.#stopped) return;
    const members = [...this.#listed.values()];
    const numbers = new Set(members.map((node) => node.number));
    for (const [id, node] of this.#held) {
      // A number that is leased again proves that whoever is only held has lost it.
      if (!this.#listed.has(id) && !numbers.has(node.number)) members.push(node);
    }
    members.sort((a, b) => (a.id < b.id ? -1 : 1));
    const report = JSON.stringify(members);
    if (report === this.#reported) return;
    this.#reported = report;
    this.onChange(members);
  }
}
