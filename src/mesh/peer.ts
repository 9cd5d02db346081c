import type { CallResult } from "../hub/calls.ts";
import type { Failure, Payload } from "../hub/connection.ts";
import type { Hub } from "../hub/hub.ts";
import type { Queues } from "../hub/queue.ts";
import type { Json } from "../json.ts";
import type { Log } from "../log.ts";
import type { NodeRecord } from "../registry/registry.ts";
import type { ThrottledLog } from "../throttled-log.ts";
import { FrameError, type FrameReader, FrameType } from "./frame.ts";
import type { Greeting } from "./handshake.ts";
import type { Inbox } from "./inbox.ts";
import type { Interest } from "./interest.ts";
import type { Link } from "./link.ts";
import { PeerQueues } from "./peer-queues.ts";
import type { PeerStats } from "./peer-stats.ts";
import { type Pending, type PublishGather, Requests } from "./requests.ts";
import { type Responder, readCallResult } from "./responder.ts";

/** What this engine's peers have in common. */
export interface PeerContext {
  hub: Hub;
  queues: Queues;
  inbox: Inbox;
  interest: Interest;
  responder: Responder;
  log: Log;
  throttled: ThrottledLog;
  /** Milliseconds a peer has for an answer. */
  requestTimeout: number;
  /** A peer has answered a send that was asked of it at `started` (`performance.now()`). */
  onForwarded: (started: number) => void;
}

/** Another engine: what is asked of it and answered to it, over whichever link there is at the time. */
export class Peer {
  readonly queues: PeerQueues;
  link: Link | undefined;
  /** Called when a link that was up is gone. */
  onUnlinked: () => void = () => {};
  /** On the clock of `performance.now()`. */
  readonly knownSince = performance.now();
  /** Since when a link is missing, on the clock of `performance.now()`; infinite while none is. */
  downSince = Number.NEGATIVE_INFINITY;

  readonly #context: PeerContext;
  readonly #requests = new Requests();
  readonly #past = { framesIn: 0, framesOut: 0, bytesIn: 0, bytesOut: 0 };
  #peerSession: string | undefined;
  /** Set from `dismiss` on. */
  #gone: (() => void) | undefined;
  #ready = false;
  /** The channels of a snapshot that is not complete yet. */
  #snapshot: Set<string> | undefined;
  #links = 0;
  #requested = 0;
  #requestsFailed = 0;
  #dropped = 0;
  #sends = 0;
  #publishes = 0;
  #calls = 0;

  constructor(
    public record: NodeRecord,
    /** Names this engine's memory of the peer: what was received, sent and confirmed. */
    readonly session: string,
    context: PeerContext,
  ) {
    this.#context = context;
    this.queues = new PeerQueues(record.id, context.queues, context.inbox);
  }

  get name(): string {
    return `engine ${this.record.id} (${this.record.host}:${this.record.meshPort})`;
  }

  /** The link is there and the peer has told what it has. */
  get up(): boolean {
    return this.#ready;
  }

  /** Whether something is still to be sent, to be confirmed, or on its way here from before the last ping. */
  get unfinished(): boolean {
    const { link } = this;
    return link !== undefined && (link.writer.waiting > 0 || !link.answered || this.queues.unconfirmed > 0);
  }

  get stats(): PeerStats {
    const { link } = this;
    return {
      id: this.record.id,
      host: this.record.host,
      up: this.#ready,
      links: this.#links,
      framesIn: this.#past.framesIn + (link?.framesIn ?? 0),
      framesOut: this.#past.framesOut + (link?.framesOut ?? 0),
      bytesIn: this.#past.bytesIn + (link?.bytesIn ?? 0),
      bytesOut: this.#past.bytesOut + (link?.bytesOut ?? 0),
      waitingBytes: link?.writer.waiting ?? 0,
      rtt: link?.rtt,
      requests: this.#requested,
      requestsFailed: this.#requestsFailed,
      dropped: this.#dropped,
      sendsForwarded: this.#sends,
      publishesForwarded: this.#publishes,
      callsForwarded: this.#calls,
      queueUnconfirmed: this.queues.unconfirmed,
      queueLost: this.queues.lost,
    };
  }

  /** Takes a link on which the peer has just proved who it is. The newest one wins: an older one is half dead at best. */
  attach(link: Link, greeting: Greeting): void {
    this.link?.close("replaced by a newer link");
    if (this.#peerSession !== undefined && this.#peerSession !== greeting.session) this.#forgotten();
    this.#peerSession = greeting.session;
    this.link = link;
    this.#links++;
    link.onFrame = (type, body) => this.#receive(type, body);
    link.onFlush = () => this.queues.flushConfirmations();
    link.onDrained = () => this.queues.drained();
    link.onClosed = (reason) => this.#lostLink(link, reason);
    link.writer.begin(FrameType.snapshot);
    link.finish();
    for (const channel of this.#context.hub.channels()) link.sendText(FrameType.channelOn, channel);
    this.queues.linked(link);
    link.writer.begin(FrameType.snapshotEnd);
    link.finish();
  }

  /** No member any more. A link that is up stays until one side ends it; then, or now, `gone` is called. */
  dismiss(gone: () => void): void {
    this.#context.log.info(`${this.name} is no longer a member of the cluster`);
    this.#gone = gone;
    if (this.link === undefined) this.#leave(gone);
  }

  /** A member again, after `dismiss` and before its link ended. */
  readmit(record: NodeRecord): void {
    this.record = record;
    this.#gone = undefined;
  }

  /** This engine stops: nothing more is said, and what waits for answers ends. */
  stop(): void {
    this.#end("this engine stops");
  }

  send(clientId: number, data: Payload): string | Promise<Failure> {
    this.#requested++;
    const link = this.#linkFor(data.length);
    if (typeof link === "string") return link;
    this.#sends++;
    return new Promise((resolve) => {
      const request = this.#begin(link, FrameType.send, { kind: "send", resolve, deadline: this.#deadline() });
      link.writer.number(clientId);
      link.writer.payload(data, typeof data === "string");
      this.#finish(link, request);
    });
  }

  call(clientId: number, func: string, args: Json[]): CallResult | Promise<CallResult> {
    this.#requested++;
    const text = JSON.stringify(args);
    const link = this.#linkFor(text.length + func.length);
    if (typeof link === "string") return { error: link };
    this.#calls++;
    return new Promise((resolve) => {
      const request = this.#begin(link, FrameType.call, { kind: "call", resolve, deadline: this.#deadline() });
      link.writer.number(clientId);
      link.writer.string(func);
      link.writer.text(text);
      this.#finish(link, request);
    });
  }

  /** Adds to `gather` what the publish came to at this peer, now or later. */
  publish(channel: string, data: Payload, text: boolean, gather: PublishGather): void {
    this.#requested++;
    const link = this.#linkFor(data.length);
    if (typeof link === "string") {
      gather.add(1, 1);
      return;
    }
    this.#publishes++;
    const request = this.#begin(link, FrameType.publish, { kind: "publish", gather, deadline: this.#deadline() });
    link.writer.string(channel);
    link.writer.payload(data, text);
    this.#finish(link, request);
  }

  tellInterest(channel: string, interested: boolean): void {
    const { link } = this;
    if (link === undefined) return;
    // What a peer knows must not have gaps: one that cannot be told starts anew with a snapshot.
    if (link.hasRoom(channel.length)) link.sendText(interested ? FrameType.channelOn : FrameType.channelOff, channel);
    else link.close(`it does not keep up, ${link.writer.waiting} bytes wait`);
  }

  tick(now: number): void {
    this.link?.tick(now);
    const seconds = this.#context.requestTimeout / 1000;
    const expired = this.#requests.expire(now, `${this.name} did not answer within ${seconds} s`);
    if (expired > 0) this.#failed(expired, `${this.name} did not answer ${expired} requests within ${seconds} s`);
  }

  /** The link for a request with so much data, or why there is none. */
  #linkFor(length: number): Link | string {
    const { link } = this;
    if (link === undefined) {
      this.#requestsFailed++;
      return `${this.name} cannot be reached`;
    }
    if (length > link.writer.maxFrame) return this.#tooLarge(link);
    if (link.hasRoom(length)) return link;
    this.#dropped++;
    const failure = `${this.name} does not keep up, ${link.writer.waiting} bytes wait`;
    this.#failed(1, failure);
    return failure;
  }

  #begin(link: Link, type: number, pending: Pending): number {
    const request = this.#requests.add(pending);
    link.writer.begin(type);
    link.writer.number(request);
    return request;
  }

  #finish(link: Link, request: number): void {
    if (!link.finish()) this.#requests.fail(request, this.#tooLarge(link));
  }

  #tooLarge(link: Link): string {
    const failure = `the message is larger than ${link.writer.maxFrame} bytes, the most a mesh frame may have`;
    // A publisher is told no more than a number.
    this.#failed(1, `${this.name}: ${failure}`);
    return failure;
  }

  #deadline(): number {
    return performance.now() + this.#context.requestTimeout;
  }

  #failed(count: number, message: string): void {
    this.#requestsFailed += count;
    this.#context.throttled.warn(`requests ${this.record.id}`, message);
  }

  #end(reason: string): void {
    const { link } = this;
    if (link === undefined) return;
    this.#unlink(link, reason);
    link.close(reason);
  }

  #lostLink(link: Link, reason: string): void {
    if (this.link !== link) return;
    if (this.#gone !== undefined) {
      this.#unlink(link, `${this.name} has left the cluster`);
      this.#leave(this.#gone);
      return;
    }
    this.#context.throttled.warn(`link ${this.record.id}`, `lost the mesh link with ${this.name}: ${reason}`);
    this.#unlink(link, `lost the link with ${this.name}`);
    this.onUnlinked();
  }

  /** Everything that depended on the peer ends. */
  #leave(gone: () => void): void {
    this.#context.interest.forget(this);
    this.#lost(this.queues.abandon(), "is gone");
    gone();
  }

  /** `reason` is for those who wait for answers. */
  #unlink(link: Link, reason: string): void {
    this.link = undefined;
    if (this.#ready) this.downSince = performance.now();
    this.#ready = false;
    this.#snapshot = undefined;
    // What the socket takes in this last write is not to be given to others.
    link.flush();
    for (const count of ["framesIn", "framesOut", "bytesIn", "bytesOut"] as const) this.#past[count] += link[count];
    this.#requestsFailed += this.#requests.failAll(reason);
    this.queues.unlinked();
  }

  #forgotten(): void {
    this.#lost(this.queues.abandon(), "has forgotten this engine");
  }

  #lost(messages: number, why: string): void {
    if (messages === 0) return;
    this.#context.log.warn(
      `${messages} queued messages sent to ${this.name} were not confirmed before it ${why}; they may be lost`,
    );
  }

  #receive(type: number, body: FrameReader): void {
    const link = this.link!;
    if (type === FrameType.publishAnswer) {
      this.#requests.take(body.number(), "publish")?.gather.add(body.number(), body.number());
    } else if (type === FrameType.sendAnswer) {
      const request = this.#requests.take(body.number(), "send");
      if (request === undefined) return;
      this.#context.onForwarded(request.deadline - this.#context.requestTimeout);
      request.resolve(body.text() || undefined);
    } else if (type === FrameType.callAnswer) {
      this.#requests.take(body.number(), "call")?.resolve(readCallResult(body.text()));
    } else if (!this.#context.responder.receive(link, type, body) && !this.queues.receive(type, body)) {
      this.#receiveInterest(type, body);
    }
  }

  #receiveInterest(type: number, body: FrameReader): void {
    const { interest, log } = this.#context;
    if (type === FrameType.channelOn) {
      const channel = body.text();
      if (this.#snapshot === undefined) interest.add(this, channel);
      else this.#snapshot.add(channel);
    } else if (type === FrameType.channelOff) {
      const channel = body.text();
      if (this.#snapshot === undefined) interest.remove(this, channel);
      else this.#snapshot.delete(channel);
    } else if (type === FrameType.snapshot) {
      this.#snapshot = new Set();
      this.queues.snapshotBegan();
    } else if (type === FrameType.snapshotEnd) {
      if (this.#snapshot === undefined) throw new FrameError("the end of no snapshot");
      interest.replace(this, this.#snapshot);
      this.#snapshot = undefined;
      this.queues.snapshotEnded();
      this.#ready = true;
      this.downSince = Number.POSITIVE_INFINITY;
      log.info(`the mesh link with ${this.name} is up`);
    }
  }
}
