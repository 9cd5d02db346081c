import type { Log } from "../../src/log.ts";
import type { Candidate, NodeRecord, Registry, RegistryState } from "../../src/registry/registry.ts";
import { openRegistry, type RegistryAccess } from "./registry-member.ts";

/** A registry client that remembers everything it was told. */
export class WatchedRegistry {
  readonly registry: Registry;
  readonly log: string[] = [];
  readonly states: RegistryState[] = [];
  readonly renumbered: NodeRecord[] = [];
  members: NodeRecord[] = [];
  /** The shortest list seen since it was last set. */
  fewest = Number.POSITIVE_INFINITY;

  constructor(access: RegistryAccess) {
    const write = (message: string) => this.log.push(message);
    const log: Log = { debug: write, info: write, warn: write, error: write };
    this.registry = openRegistry(access, log);
    this.registry.onMembers = (members) => {
      this.members = members;
      this.fewest = Math.min(this.fewest, members.length);
    };
    this.registry.onState = (state) => this.states.push(state);
    this.registry.onRenumbered = (record) => this.renumbered.push(record);
  }

  get ids(): string[] {
    return this.members.map((member) => member.id);
  }

  knows(id: string): boolean {
    return this.members.some((member) => member.id === id);
  }
}

let created = 0;

/** A node that wants to join, under an id of its own; each starts later than the one before. */
export function candidate(fields: Partial<Candidate> = {}): Candidate {
  created++;
  return {
    id: `node${String(process.pid % 1000).padStart(3, "0")}${String(created).padStart(3, "0")}`,
    host: "127.0.0.1",
    meshPort: 6788,
    apiPort: 6789,
    version: "1.0.0",
    startedAt: Date.now() + created,
    servers: [{ protocol: "websocket", port: 6790 }],
    ...fields,
  };
}
