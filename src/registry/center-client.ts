import { UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Address, parseAddress } from "./address.ts";
import { backOff } from "./back-off.ts";
import { CenterLink, type CenterLinkEvents } from "./center-link.ts";
import { Members } from "./members.ts";
import type { Candidate, NodeLoad, NodeRecord, Registry, RegistryState, RegistryStats } from "./registry.ts";

export interface CenterClientOptions {
  /** `host:port` of the center's registry. */
  address: string;
  cluster: string;
  secret: string | undefined;
  log: Log;
}

/** Milliseconds. */
const LONGEST_BACK_OFF = 2500;
const LEAVE_LIMIT = 1000;

/** The registry of an engine whose cluster has a center: one connection, made again whenever it is lost. */
export class CenterClient implements Registry, CenterLinkEvents {
  readonly kind = "center";
  readonly stats: RegistryStats = { stateChanges: 0, renewals: 0, failures: 0, lastError: undefined };
  load: () => NodeLoad | undefined = () => undefined;
  onMembers: (members: NodeRecord[]) => void = () => {};
  onState: (state: RegistryState) => void = () => {};
  onRenumbered: (record: NodeRecord) => void = () => {};

  readonly #options: CenterClientOptions;
  readonly #address: Address;
  readonly #members = new Members((members) => this.onMembers(members));
  #state: RegistryState = "joining";
  #candidate: Candidate | undefined;
  #number: number | undefined;
  #link: CenterLink | undefined;
  #join = Promise.withResolvers<NodeRecord>();
  #left = Promise.withResolvers<void>();
  #retry: Timer | undefined;
  /** Milliseconds, as the center said. */
  #ttl = 0;
  /** Attempts since the last success. */
  #failures = 0;

  constructor(options: CenterClientOptions) {
    this.#options = options;
    this.#address = parseAddress(options.address);
  }

  get state(): RegistryState {
    return this.#state;
  }

  join(candidate: Candidate): Promise<NodeRecord> {
    this.#candidate = candidate;
    this.#dial();
    return this.#join.promise;
  }

  async leave(): Promise<void> {
    clearTimeout(this.#retry);
    this.#members.stop();
    const link = this.#link;
    this.#setState("left");
    if (link === undefined) return;
    const limit = setTimeout(() => link.close("leaving took too long"), LEAVE_LIMIT);
    link.leave();
    await this.#left.promise;
    clearTimeout(limit);
  }

  connected(): void {
    this.#options.log.info(`center registry ${this.#options.address} connect successful`);
    this.#options.log.info(`register engine node_id ${this.#candidate?.id}`);
  }

  registered(number: number, ttl: number, nodes: NodeRecord[]): void {
    if (this.#state === "left") return;
    const lost = this.#number !== undefined && this.#number !== number;
    this.#ttl = ttl;
    this.#failures = 0;
    // The others may still be on their way back to the center.
    if (this.#state === "away") this.#members.hold(ttl);
    this.#number = number;
    this.#setState("joined");
    if (lost) this.onRenumbered(this.#record());
    this.#members.replace(nodes);
    this.#join.resolve(this.#record());
  }

  renewed(loads: [id: string, load: NodeLoad][]): void {
    this.stats.renewals++;
    this.#members.setLoads(loads);
  }

  joined(node: NodeRecord): void {
    this.#members.add(node);
  }

  left(id: string): void {
    this.#members.remove(id);
  }

  renumbered(number: number): void {
    this.#number = number;
    this.onRenumbered(this.#record());
    this.#members.add(this.#record());
  }

  closed(reason: string, refused: boolean): void {
    this.#link = undefined;
    if (this.#state === "left") {
      this.#join.reject(new UserError("the node left before its registration was done"));
      this.#left.resolve();
      return;
    }
    const text = this.#explain(reason, refused);
    this.stats.failures++;
    // An outage is told once, not at each attempt; that the center has changed is news.
    const news = this.#state === "joined" || (this.#state === "away" && refused && text !== this.stats.lastError);
    if (news) this.#options.log.warn(text);
    this.stats.lastError = text;
    if (this.#state === "joining") {
      this.#setState("left");
      this.#join.reject(new UserError(text));
      return;
    }
    this.#setState("away");
    this.#members.freeze();
    this.#failures++;
    this.#retry = setTimeout(() => this.#dial(), backOff(this.#failures, Math.min(LONGEST_BACK_OFF, this.#ttl / 4)));
  }

  #dial(): void {
    const { cluster, secret } = this.#options;
    if (this.#candidate === undefined) return;
    this.#link = new CenterLink(
      { address: this.#address, cluster, secret, candidate: this.#candidate, number: this.#number },
      this,
    );
  }

  #record(): NodeRecord {
    return { ...this.#candidate, number: this.#number } as NodeRecord;
  }

  #setState(state: RegistryState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.stats.stateChanges++;
    this.onState(state);
  }

  #explain(reason: string, refused: boolean): string {
    const center = `the center registry ${this.#options.address}`;
    if (refused) return `${center} does not take this engine: ${reason}`;
    if (this.#state === "joining") {
      return `cannot reach ${center}: ${reason}; start it with \`connmix center\` or correct engine.centerRegistry`;
    }
    return `${center} is away: ${reason}; going on with the last known members`;
  }
}
