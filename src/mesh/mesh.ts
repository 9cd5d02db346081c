import { nodeNumberOf } from "../client-id.ts";
import { createNonce } from "../cluster-auth.ts";
import { type CallResult, callConnection } from "../hub/calls.ts";
import type { Connection, Failure, Payload } from "../hub/connection.ts";
import type { Consumer } from "../hub/consumer.ts";
import { type Hub, noClient, type PublishCount } from "../hub/hub.ts";
import type { Queues } from "../hub/queue.ts";
import type { Json } from "../json.ts";
import type { Log } from "../log.ts";
import type { NodeRecord } from "../registry/registry.ts";
import { ThrottledLog } from "../throttled-log.ts";
import { Dialer } from "./dialer.ts";
import { Door, type DoorLimits } from "./door.ts";
import { Inbox } from "./inbox.ts";
import { Interest } from "./interest.ts";
import type { Operations, Soon } from "./operations.ts";
import { Peer, type PeerContext } from "./peer.ts";
import type { PeerStats } from "./peer-stats.ts";
import { PublishGather } from "./requests.ts";
import { Responder } from "./responder.ts";

export interface MeshLimits extends DoorLimits {
  /** Milliseconds a peer has to answer a request. */
  requestTimeout: number;
}

const LIMITS: MeshLimits = {
  maxFrame: 32 * 1024 * 1024,
  maxWaiting: 64 * 1024 * 1024,
  heartbeat: 4000,
  deadAfter: 12_000,
  handshake: 5000,
  requestTimeout: 5000,
  linkPatience: 15_000,
};

/** What a queue message's frame has beside its data: two numbers and a topic of 1,024 characters. */
const MESSAGE_OVERHEAD = 4096;
/** Milliseconds that `stop` waits for its peers. */
const STOP_PATIENCE = 2000;

export interface MeshOptions {
  hub: Hub;
  queues: Queues;
  log: Log;
  nodeId: string;
  clusterName: string;
  /** Without one only peers on this machine are accepted. */
  secret?: string | undefined;
  /** The program's version, for the peers' logs. */
  version: string;
  bind: string;
  /** 0 for any free port. */
  port: number;
  limits?: Partial<MeshLimits>;
}

export interface MeshStats {
  /** Links that are up. */
  links: number;
  /** Publishes asked of this engine, by its scripts and by its API clients. */
  publishes: number;
  /** Links that ended before the peer had proved who it is, refusals included. */
  handshakesFailed: number;
  /** Queued messages of peers held for consumers of this engine that do not read. */
  queueHeld: number;
  /** Queued messages that came a second time after a link was restored, and were skipped. */
  queueDuplicates: number;
  /** Queued messages handed to an engine that died, or forgot this one, without having confirmed them. */
  queueLost: number;
  /** The members of the cluster, this engine excepted, and those that left and whose links are still up. */
  peers: PeerStats[];
}

/** This engine's part of the mesh: carries out what concerns its own clients and hands the rest to the engine that can. */
export class Mesh implements Operations {
  readonly #options: MeshOptions;
  readonly #limits: MeshLimits;
  readonly #door: Door;
  readonly #hub: Hub;
  readonly #queues: Queues;
  readonly #context: PeerContext;
  readonly #peers = new Map<string, Peer>();
  /** No members any more, with a link that is still up: they may be taking leave of their clients. */
  readonly #leavers = new Map<string, Peer>();
  /**
   * Called after each send to a client of this engine that a caller on this engine asked for, refused or not; `started` is on
   * the clock of `performance.now()`.
   */
  onSent: (connection: Connection, started: number) => void = () => {};
  /** Called when another engine has answered a send; `started` is when it was asked. */
  onForwarded: (started: number) => void = () => {};
  #publishes = 0;
  /** Queued messages lost with engines that are gone. */
  #lost = 0;
  readonly #dialers = new Map<string, Dialer>();
  /** The engine that holds the clients of each node number. */
  #byNumber = new Map<number, Peer>();
  #number = -1;
  #firstMembers = true;
  #sweeper: Timer | undefined;
  #stopping = false;

  constructor(options: MeshOptions) {
    const { hub, queues, log, nodeId, clusterName, secret, version } = options;
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#hub = hub;
    this.#queues = queues;
    const inbox = new Inbox(queues);
    const throttled = new ThrottledLog(log);
    const { requestTimeout } = this.#limits;
    const responder = new Responder(hub);
    this.#context = {
      hub,
      queues,
      inbox,
      interest: new Interest(),
      responder,
      log,
      throttled,
      requestTimeout,
      onForwarded: (started) => this.onForwarded(started),
    };
    this.#door = new Door({ nodeId, clusterName, secret, version }, this.#limits, this.#peers, log, throttled);
    inbox.onLost = (message, reason) =>
      throttled.warn("queue", `a message for topic "${message.topic}" is lost: ${reason}`);
    hub.onInterest = (channel, interested) => {
      for (const peer of this.#all()) peer.tellInterest(channel, interested);
    };
    queues.onReady = (topic) => inbox.drain(topic);
    queues.onConsumers = (topic, count) => {
      for (const peer of this.#all()) peer.queues.tellConsumers(topic, count);
      if (count === 0) inbox.giveBack(topic);
    };
  }

  /**
   * The members this engine should have a working link to and has not, by node id: at its start everyone, later those whose
   * link has been down for longer than `linkPatience`. A newcomer that nobody can reach says so itself.
   */
  unlinked(): string[] {
    const since = performance.now() - this.#limits.linkPatience;
    return [...this.#peers.values()].filter((peer) => peer.downSince < since).map((peer) => peer.record.id);
  }

  get stats(): MeshStats {
    const peers = this.#all().map((peer) => peer.stats);
    const { inbox } = this.#context;
    return {
      links: peers.filter((peer) => peer.up).length,
      publishes: this.#publishes,
      handshakesFailed: this.#door.failed,
      queueHeld: inbox.held,
      queueDuplicates: inbox.duplicates,
      queueLost: peers.reduce((sum, peer) => sum + peer.queueLost, this.#lost),
      peers,
    };
  }

  /** Opens the mesh port and resolves with it. Rejects with a `UserError` when the port is in use. */
  async listen(): Promise<number> {
    const { bind, port, log } = this.#options;
    const bound = this.#door.listen(bind, port);
    this.#sweeper = setInterval(this.#sweep, this.#sweepInterval);
    log.info(`start the mesh node (${bind}:${bound})`);
    return bound;
  }

  /** From now on this engine answers for the clients of `self.number`. */
  start(self: NodeRecord): void {
    this.#number = self.number;
  }

  /** Like `start`, after the registry gave this engine another number. */
  renumber(self: NodeRecord): void {
    this.#number = self.number;
  }

  /**
   * The cluster's members, with or without this engine: links are made to those that came. Those that left are not dialed any
   * more; a link that is up stays until one side ends it.
   */
  setMembers(members: NodeRecord[]): void {
    if (this.#stopping) return;
    const others = members.filter((member) => member.id !== this.#options.nodeId);
    const ids = new Set(others.map((member) => member.id));
    for (const [id, peer] of this.#peers) if (!ids.has(id)) this.#dismiss(id, peer);
    for (const record of others) {
      const known = this.#peers.get(record.id);
      if (known === undefined) this.#join(record);
      else known.record = record;
    }
    this.#firstMembers = false;
    this.#assignNumbers();
  }

  /** Ends all links in good order: nothing that was handed over either way is lost. Takes two seconds at most. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#sweeper);
    for (const dialer of this.#dialers.values()) dialer.stop();
    this.#door.close();
    const peers = this.#all();
    const links = peers.flatMap(({ link }) => link ?? []);
    const deadline = performance.now() + STOP_PATIENCE;
    const wait = async (busy: () => boolean) => {
      while (busy() && performance.now() < deadline) await Bun.sleep(5);
    };
    // What a peer sent before it read that there are no consumers here any more has come when it answers, and goes back.
    for (const link of links) link.ping(performance.now());
    await wait(() => peers.some((peer) => peer.unfinished));
    for (const peer of peers) peer.stop();
    // A process that ends with bytes unread resets its connections, and a peer loses what it has not read yet.
    await wait(() => links.some((link) => !link.gone));
  }

  send(clientId: number, data: Payload): Soon<Failure> {
    const number = nodeNumberOf(clientId);
    if (number !== this.#number) {
      return this.#byNumber.get(number)?.send(clientId, data) ?? `no engine holds client ${clientId}`;
    }
    const connection = this.#hub.get(clientId);
    if (connection === undefined) return noClient(clientId);
    const started = performance.now();
    const failure = connection.send(data);
    this.onSent(connection, started);
    return failure;
  }

  publish(channel: string, data: Payload): Soon<PublishCount> {
    this.#publishes++;
    const own = this.#hub.publish(channel, data);
    const peers = this.#context.interest.peers(channel);
    if (peers === undefined) return own;
    const text = typeof data === "string";
    const payload = text && peers.size > 1 ? Buffer.from(data) : data;
    const gather = new PublishGather(own, peers.size);
    for (const peer of peers) peer.publish(channel, payload, text, gather);
    return gather.promise;
  }

  call(clientId: number, func: string, args: Json[]): Soon<CallResult> {
    const number = nodeNumberOf(clientId);
    if (number === this.#number) return callConnection(this.#hub, clientId, func, args);
    return this.#byNumber.get(number)?.call(clientId, func, args) ?? { error: `no engine holds client ${clientId}` };
  }

  push(clientId: number, topic: string, data: string): number | { error: string } {
    const most = this.#limits.maxFrame - MESSAGE_OVERHEAD;
    // Three bytes a unit is the most UTF-8 needs; only near the limit is it worth measuring.
    if (data.length * 3 > most && Buffer.byteLength(data) > most) {
      return { error: `a queued message has at most ${most} bytes of JSON, this one has ${Buffer.byteLength(data)}` };
    }
    return this.#queues.push({ clientId, nodeId: this.#options.nodeId, topic, data });
  }

  declareTopic(topic: string, size: number): { error: string } | undefined {
    return this.#queues.declare(topic, size);
  }

  consume(topic: string, consumer: Consumer): boolean | { error: string } {
    return this.#queues.addConsumer(topic, consumer);
  }

  unconsume(topic: string, consumer: Consumer): boolean {
    return this.#queues.removeConsumer(topic, consumer);
  }

  resume(topic: string, consumer: Consumer): void {
    this.#queues.resume(topic, consumer);
  }

  #all(): Peer[] {
    return [...this.#peers.values(), ...this.#leavers.values()];
  }

  #join(record: NodeRecord): void {
    const { id } = record;
    const peer = this.#leavers.get(id) ?? new Peer(record, createNonce(), this.#context);
    if (this.#leavers.delete(id)) peer.readmit(record);
    else if (!this.#firstMembers) peer.downSince = Number.POSITIVE_INFINITY;
    this.#peers.set(id, peer);
    // One of the two dials, so that there is one link.
    if (this.#options.nodeId < id) this.#dialers.set(id, new Dialer(peer, this.#door));
  }

  #dismiss(id: string, peer: Peer): void {
    this.#dialers.get(id)?.stop();
    this.#dialers.delete(id);
    this.#peers.delete(id);
    this.#leavers.set(id, peer);
    peer.dismiss(() => {
      this.#leavers.delete(id);
      this.#lost += peer.queues.lost;
      this.#assignNumbers();
    });
  }

  #assignNumbers(): void {
    // Of two that claim one number the one that started first has it, so that one is set last; a member before a leaver.
    const claims = [...this.#peers.values()].sort(
      ({ record: a }, { record: b }) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1),
    );
    this.#byNumber = new Map([...this.#leavers.values(), ...claims].map((peer) => [peer.record.number, peer]));
  }

  get #sweepInterval(): number {
    return Math.min(this.#limits.heartbeat, this.#limits.requestTimeout, this.#limits.handshake) / 4;
  }

  #lastSweep = performance.now();
  readonly #sweep = (): void => {
    const now = performance.now();
    const late = now - this.#lastSweep - this.#sweepInterval;
    this.#lastSweep = now;
    this.#door.tick(now);
    for (const peer of this.#all()) {
      // After a pause of this process what the peers have sent meanwhile is still to be read.
      if (late > this.#sweepInterval) peer.link?.forgive(late);
      peer.tick(now);
    }
  };
}
