import type { TopicStats } from "../hub/queue.ts";
import type { NodeRecord } from "../registry/registry.ts";

/** What a node tells about itself and its cluster: counters as they stand; the page makes rates of them. */
export interface NodeState {
  node: { id: string; role: "center" | "engine"; version: string; registry: string; uptime: number };
  members: NodeRecord[];
  /** This engine's own traffic; absent on a center. */
  engine?: {
    clients: number;
    channels: number;
    readMessages: number;
    sentMessages: number;
    publishes: number;
    topics: ({ name: string } & TopicStats)[];
    /** The channels with the most subscribers here, at most twenty. */
    topChannels: { name: string; subscribers: number }[];
  };
  /** The latest log lines, oldest first. */
  log: string[];
}

/** An engine, and whether it is on the machine of the node asked: then the page reaches it by the name it used itself. */
export type ConsoleMember = NodeRecord & { here: boolean };

/** What the page asks for once a second. */
export interface ConsoleState extends NodeState {
  members: ConsoleMember[];
}
