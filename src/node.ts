import type { Config } from "./config/schema.ts";

/** A node of the cluster that has started: what the command line needs to end it. */
export interface RunningNode {
  /** Drains and stops everything in reverse order of its start; resolves when done, within the drain time-out. */
  stop(): Promise<void>;

  /**
   * Takes over the settings that may change while running, after an edit of the configuration file; `changed` names the keys,
   * as in `access.users`. `logging.level` is seen to already.
   */
  reconfigure?(config: Config, changed: string[]): void;
}

/** A center, with the port its registry listens on: the configured one, or the free one that was found. */
export interface RunningCenter extends RunningNode {
  readonly registryPort: number;
}
