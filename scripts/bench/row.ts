import type { Load, Warmup } from "./load/load.ts";
import type { Running } from "./server-process.ts";

/** One server in a row. The row's first contender is what the others are compared with. */
export interface Contender {
  name: string;
  role: "control" | "connmix" | "peer";
  /** Why it cannot run here, in words; undefined when it can. */
  unavailable?: () => string | undefined;
  start: () => Promise<Running>;
  load: (server: Running) => Load;
}

/**
 * What a row is judged by. `cpu`: server CPU µs per message. `throughput`: messages a second. `capacity`: messages in a second of
 * the busiest process's CPU, which is what several processes come to where each has a core. `memory`: bytes per connection.
 * `latency`: median µs.
 */
export type Figure = "cpu" | "throughput" | "capacity" | "memory" | "latency";

/** What connmix is to reach: at most or at least this ratio to the first contender, or at most this figure. */
export type Reach = { ratioAtMost: number } | { ratioAtLeast: number } | { atMost: number };

export interface Row {
  id: string;
  title: string;
  /** What is counted: message, delivery, connect, … */
  unit: string;
  figure: Figure;
  reach?: Reach;
  /** A server is started anew for each round: its memory is the figure. */
  fresh?: boolean;
  /** Left out of a quick run: it starts many servers, or another row says as much. */
  large?: boolean;
  contenders: Contender[];
}

/** What differs between a full and a quick run. */
export interface Scale {
  rounds: number;
  /** Before a server's first measured round. */
  firstWarmup: Warmup;
  /** Before each further round. */
  warmup: Warmup;
  seconds: number;
  /** A row's servers start together, and stop while the next row's start: quicker, and less exact. */
  hurry: boolean;
  /** Connections of the memory row. */
  idleConnections: number;
}
