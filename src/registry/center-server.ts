import { createServer, type Server } from "node:net";
import { NODE_NUMBERS } from "../client-id.ts";
import { messageOf, UserError } from "../errors.ts";
import type { Log } from "../log.ts";
import { ThrottledLog } from "../throttled-log.ts";
import type { CenterMessage } from "./center-protocol.ts";
import { CenterSession, type SessionOwner } from "./center-session.ts";
import { NodeNumbers } from "./numbers.ts";
import type { Candidate, NodeLoad, NodeRecord } from "./registry.ts";

export interface CenterServerOptions {
  port: number;
  bind: string;
  cluster: string;
  secret: string | undefined;
  /** Milliseconds without a heartbeat after which an engine is dead. */
  ttl: number;
  log: Log;
}

interface Member {
  record: NodeRecord;
  /** `undefined` while the connection is lost and the engine may still return. */
  session: CenterSession | undefined;
  expiry: Timer;
}

/** Every engine may be connected, and as many connections may be in their handshake. */
const MAX_CONNECTIONS = 2 * NODE_NUMBERS;
/** Log lines about one address that fails to register, in ten seconds. */
const STRANGER_LINES = 20;

/**
 * The registry of the center node. It keeps nothing that is worth saving: after a restart the engines come back with the ids
 * and numbers they have. An engine whose connection is lost has until the end of its TTL to return.
 */
export class CenterServer implements SessionOwner {
  readonly cluster: string;
  readonly secret: string | undefined;
  readonly throttled: ThrottledLog;
  readonly #log: Log;
  readonly #options: CenterServerOptions;
  readonly #members = new Map<string, Member>();
  readonly #numbers = new NodeNumbers();
  readonly #sessions = new Set<CenterSession>();
  #server: Server | undefined;

  /** Called with the full list at each change. Set before `start`. */
  onMembers: (members: NodeRecord[]) => void = () => {};

  constructor(options: CenterServerOptions) {
    this.#options = options;
    this.cluster = options.cluster;
    this.secret = options.secret;
    this.#log = options.log;
    this.throttled = new ThrottledLog(options.log, STRANGER_LINES);
  }

  /** Resolves when engines can register. Rejects with a `UserError` when the port cannot be had. */
  async start(): Promise<void> {
    const { port, bind } = this.#options;
    const server = createServer((socket) => {
      if (this.#sessions.size >= MAX_CONNECTIONS) {
        this.throttled.warn(
          "full",
          `close connection of ${socket.remoteAddress}: ${MAX_CONNECTIONS} connections are open`,
        );
        socket.destroy();
        return;
      }
      this.#sessions.add(new CenterSession(socket, this));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenError(error, bind, port)));
      server.listen({ port, host: bind }, resolve);
    });
    server.on("error", (error) => this.#log.error(`registry server: ${messageOf(error)}`));
    this.#server = server;
    this.#log.info(`start the registry server (${bind}:${this.port})`);
    if (this.secret === undefined) {
      this.#log.info("no cluster.secret is set: only engines on this machine are accepted");
    }
  }

  /** The port that is listened on; the one asked for, unless that was 0. */
  get port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : this.#options.port;
  }

  members(): NodeRecord[] {
    return [...this.#members.values()].map((member) => member.record);
  }

  /** Closes all connections; the engines go on without a registry. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const member of this.#members.values()) clearTimeout(member.expiry);
    this.#members.clear();
    for (const session of [...this.#sessions]) session.close("the center stops");
    await closed;
  }

  register(session: CenterSession, candidate: Candidate, claimed: number | undefined): string | undefined {
    const { id, host } = candidate;
    const known = this.#members.get(id);
    const number = this.#lease(candidate, claimed ?? known?.record.number);
    if (number === undefined) return `all ${NODE_NUMBERS} node numbers are taken`;

    clearTimeout(known?.expiry);
    known?.session?.close("the engine has registered through another connection");
    const record = { ...candidate, number };
    this.#members.set(id, { record, session, expiry: setTimeout(() => this.#expire(id), this.#options.ttl) });
    this.#log.info(`register node ${host} node_id ${id}`);
    session.send({ type: "registered", number, ttl: this.#options.ttl, nodes: this.members() });
    this.#announce({ type: "joined", node: record }, id);
    return undefined;
  }

  heard(id: string, load: NodeLoad | undefined): [id: string, load: NodeLoad][] {
    const member = this.#members.get(id);
    member?.expiry.refresh();
    // In place: a load is no change of the members, and whoever holds their list sees it there.
    if (member !== undefined && load !== undefined) member.record.load = load;
    return this.members().flatMap((node) => (node.load === undefined ? [] : [[node.id, node.load]]));
  }

  leave(id: string): void {
    this.#remove(id, "left");
  }

  closed(session: CenterSession, id: string | undefined): void {
    this.#sessions.delete(session);
    const member = id === undefined ? undefined : this.#members.get(id);
    if (member?.session !== session) return;
    member.session = undefined;
    this.#log.warn(`lost node ${member.record.host} node_id ${id}: waiting for it to return`);
  }

  /** The number that was claimed, unless a node that started earlier holds it; otherwise the next free one. */
  #lease(candidate: Candidate, claimed: number | undefined): number | undefined {
    if (claimed === undefined) return this.#numbers.lease(candidate.id);
    const holder = this.#members.get(this.#numbers.holder(claimed) ?? "");
    if (holder !== undefined && holder.record.id !== candidate.id) {
      if (holder.record.startedAt <= candidate.startedAt) return this.#numbers.lease(candidate.id);
      const number = this.#numbers.lease(holder.record.id);
      if (number === undefined) return undefined;
      this.#renumber(holder, number);
    }
    this.#numbers.assign(claimed, candidate.id);
    return claimed;
  }

  #renumber(member: Member, number: number): void {
    const { id, host, number: lost } = member.record;
    member.record = { ...member.record, number };
    this.#log.warn(`node ${host} node_id ${id} goes on as number ${number}: an older node came back with ${lost}`);
    member.session?.send({ type: "renumbered", number });
    this.#announce({ type: "joined", node: member.record }, id);
  }

  #expire(id: string): void {
    const session = this.#members.get(id)?.session;
    this.#remove(id, `silent for ${this.#options.ttl / 1000} s`);
    session?.close("no heartbeat within the TTL");
  }

  #remove(id: string, reason: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    clearTimeout(member.expiry);
    this.#members.delete(id);
    this.#numbers.release(member.record.number, id);
    this.#log.info(`unregister node ${member.record.host} node_id ${id}: ${reason}`);
    this.#announce({ type: "left", id }, id);
  }

  /** Tells everyone but the node it is about. */
  #announce(change: CenterMessage, about: string): void {
    for (const [id, member] of this.#members) if (id !== about) member.session?.send(change);
    this.onMembers(this.members());
  }
}

function listenError(error: NodeJS.ErrnoException, bind: string, port: number): UserError {
  const address = `${bind}:${port}`;
  if (error.code === "EADDRINUSE") {
    return new UserError(
      `port ${port} is in use: the registry server cannot listen on ${address}; stop the program that uses it or change center.registry.port`,
    );
  }
  return new UserError(`the registry server cannot listen on ${address}: ${messageOf(error)}; see center.registry`);
}
