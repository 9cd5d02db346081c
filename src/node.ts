/** A node of the cluster that has started: what the command line needs to end it. */
export interface RunningNode {
  /** Drains and stops everything in reverse order of its start; resolves when done, within the drain time-out. */
  stop(): Promise<void>;
}
