import { connect } from "node:net";
import { createNonce, createProof, isNonce, verifyProof } from "../cluster-auth.ts";
import type { Address } from "./address.ts";
import {
  type CenterMessage,
  type EngineMessage,
  HANDSHAKE_LIMIT,
  MAX_CENTER_MESSAGE,
  PROTOCOL,
  readCenterMessage,
} from "./center-protocol.ts";
import { JsonSocket, ProtocolError } from "./json-socket.ts";
import type { Candidate, NodeLoad, NodeRecord } from "./registry.ts";

export interface CenterLinkOptions {
  address: Address;
  cluster: string;
  secret: string | undefined;
  candidate: Candidate;
  /** The number this node already has, when it comes back. */
  number: number | undefined;
}

/** What a link asks and tells its owner. */
export interface CenterLinkEvents {
  /** The center has proved the secret; the registration is about to be sent. */
  connected(): void;
  /** `ttl` in milliseconds. */
  registered(number: number, ttl: number, nodes: NodeRecord[]): void;
  load(): NodeLoad | undefined;
  renewed(loads: [id: string, load: NodeLoad][]): void;
  joined(node: NodeRecord): void;
  left(id: string): void;
  renumbered(number: number): void;
  /** Called once, also when no connection came about. `refused`: the two do not belong together. */
  closed(reason: string, refused: boolean): void;
}

/** One connection of an engine to the center, from the dial to the close. */
export class CenterLink {
  readonly #options: CenterLinkOptions;
  readonly #events: CenterLinkEvents;
  readonly #socket: JsonSocket;
  readonly #nonce = createNonce();
  #refused = false;
  #registering = false;
  #registered = false;
  #silence: Timer;
  #heartbeat: Timer | undefined;

  constructor(options: CenterLinkOptions, events: CenterLinkEvents) {
    this.#options = options;
    this.#events = events;
    const socket = connect(options.address);
    this.#socket = new JsonSocket(socket, MAX_CENTER_MESSAGE);
    this.#socket.onMessage = (message) => this.#receive(message);
    this.#socket.onClose = (reason) => this.#closed(reason);
    this.#silence = setTimeout(
      () => this.#socket.close(`no answer within ${HANDSHAKE_LIMIT / 1000} s`),
      HANDSHAKE_LIMIT,
    );
    socket.once("connect", () => {
      this.#send({ type: "hello", protocol: PROTOCOL, cluster: options.cluster, nonce: this.#nonce });
    });
  }

  /** Gives the lease back; the center then closes the connection. */
  leave(): void {
    // The center may have registered this node already, though its answer is still on the way.
    if (this.#registering) this.#send({ type: "leave" });
    else this.close("this node leaves");
  }

  close(reason: string): void {
    this.#socket.close(reason);
  }

  #send(message: EngineMessage): void {
    this.#socket.send(message);
  }

  #receive(received: unknown): void {
    const message = readCenterMessage(received);
    switch (message.type) {
      case "challenge":
        this.#prove(message.nonce, message.proof);
        break;
      case "registered":
        this.#begin(message);
        break;
      case "refused":
        this.#refused = true;
        this.close(message.reason);
        break;
      default:
        this.#follow(message);
    }
  }

  #follow(message: Exclude<CenterMessage, { type: "challenge" | "registered" | "refused" }>): void {
    if (!this.#registered) throw new ProtocolError(`${message.type} before the registration`);
    this.#silence.refresh();
    switch (message.type) {
      case "heartbeat":
        this.#events.renewed(message.loads);
        break;
      case "joined":
        this.#events.joined(message.node);
        break;
      case "left":
        this.#events.left(message.id);
        break;
      case "renumbered":
        this.#events.renumbered(message.number);
    }
  }

  #prove(nonce: string, proof: string): void {
    const { cluster, secret, candidate, number } = this.#options;
    if (!isNonce(nonce)) throw new ProtocolError("malformed message: not a nonce");
    const expected = { role: "registry-center", ownNonce: nonce, peerNonce: this.#nonce, cluster } as const;
    if (!verifyProof(secret, expected, proof)) {
      const reason = "center and engine have different secrets: set the same cluster.secret on both";
      this.#refused = true;
      this.#send({ type: "refused", reason });
      this.close(reason);
      return;
    }
    this.#events.connected();
    this.#registering = true;
    const own = { role: "registry-engine", ownNonce: this.#nonce, peerNonce: nonce, cluster } as const;
    this.#send({ type: "register", proof: createProof(secret, own), candidate, number });
  }

  #begin({ number, ttl, nodes }: Extract<CenterMessage, { type: "registered" }>): void {
    if (this.#registered) throw new ProtocolError("registered twice");
    this.#registered = true;
    // Two missed heartbeats: there is still a third of the TTL left to come back before the center gives this node up.
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.close("no heartbeat from the center"), (ttl * 2) / 3);
    this.#heartbeat = setInterval(() => this.#send({ type: "heartbeat", load: this.#events.load() }), ttl / 3);
    this.#events.registered(number, ttl, nodes);
  }

  #closed(reason: string): void {
    clearTimeout(this.#silence);
    clearInterval(this.#heartbeat);
    this.#events.closed(reason, this.#refused);
  }
}
