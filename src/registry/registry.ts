/** What an engine was doing at its last renewal: counters since its start, for the console and the center's metrics. */
export interface NodeLoad {
  clients: number;
  channels: number;
  readMessages: number;
  sentMessages: number;
  publishes: number;
}

/** One engine as the others and the client libraries know it. */
export interface NodeRecord {
  /** Ten lower-case letters and digits, new at every start. */
  id: string;
  /** The leased node number that its client ids carry, 0 to 4095. */
  number: number;
  /** Host other nodes and clients reach it by. */
  host: string;
  meshPort: number;
  apiPort: number;
  version: string;
  /** Milliseconds since 1970; of two nodes that claim one number, the one that started first keeps it. */
  startedAt: number;
  /** Protocol and port of each server, for the console and `connmix nodes`. */
  servers: { protocol: "websocket" | "socket"; port: number }[];
  /** Carried by each renewal; absent until the first. */
  load?: NodeLoad;
}

export type Candidate = Omit<NodeRecord, "number">;

/** `joined`: registered and being renewed. `away`: the registry cannot be reached, the last known members stand. */
export type RegistryState = "joining" | "joined" | "away" | "left";

/** Counters since the start, for the metrics. */
export interface RegistryStats {
  stateChanges: number;
  /** Renewals the registry confirmed. */
  renewals: number;
  /** Connections and renewals that failed. */
  failures: number;
  /** Text of the last failure. */
  lastError: string | undefined;
}

/**
 * Who is alive, and where. Two implementations stand behind one test suite: `center-client.ts` (one TCP connection to the
 * center node) and `redis.ts` (keys with a TTL). An engine outlives its registry: while it is away, traffic goes on with the
 * last known members, and when it is back, even empty, the engine returns with the id and number it already has.
 */
export interface Registry {
  readonly kind: "center" | "redis";
  readonly state: RegistryState;
  readonly stats: Readonly<RegistryStats>;

  /**
   * Leases a node number, publishes the record and keeps both renewed until `leave`. Resolves with the record once
   * registered. Rejects with a `UserError` naming the address when the registry cannot be reached or refuses this node;
   * only this first call rejects, later outages are ridden out.
   */
  join(candidate: Candidate): Promise<NodeRecord>;

  /** Asked at each renewal for what to tell the others. Set before `join`. */
  load: () => NodeLoad | undefined;

  /** Called with the full member list, this node included, at each change. Set before `join`. */
  onMembers: (members: NodeRecord[]) => void;

  /** Called at each change of `state`. */
  onState: (state: RegistryState) => void;

  /**
   * Called when the number was lost to another node (this one was away too long) and a new one has been leased: ids issued
   * under the old number no longer lead here, so the engine closes those clients and goes on under `record.number`.
   */
  onRenumbered: (record: NodeRecord) => void;

  /** Gives the lease back; resolves when the others have been told, or after one second at most. */
  leave(): Promise<void>;
}
