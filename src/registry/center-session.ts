import type { Socket } from "node:net";
import { type Challenge, createNonce, createProof, isNonce, verifyProof } from "../cluster-auth.ts";
import { isThisMachine } from "../this-machine.ts";
import type { ThrottledLog } from "../throttled-log.ts";
import {
  type CenterMessage,
  HANDSHAKE_LIMIT,
  MAX_ENGINE_MESSAGE,
  PROTOCOL,
  readEngineMessage,
} from "./center-protocol.ts";
import { JsonSocket, ProtocolError } from "./json-socket.ts";
import type { Candidate, NodeLoad } from "./registry.ts";

/** What the center does for its sessions. */
export interface SessionOwner {
  readonly cluster: string;
  readonly secret: string | undefined;
  /** For what strangers can cause again and again; the kind is their address. */
  readonly throttled: ThrottledLog;
  /** The engine proved that it belongs here; it claims `number` when it comes back. Refused when a text is returned. */
  register(session: CenterSession, candidate: Candidate, number: number | undefined): string | undefined;
  /** The registered engine is alive. Returns the loads of all engines. */
  heard(id: string, load: NodeLoad | undefined): [id: string, load: NodeLoad][];
  leave(id: string): void;
  /** Called once; `id` when an engine had registered. */
  closed(session: CenterSession, id: string | undefined): void;
}

/** One connection at the center, from the challenge on. Nothing is believed before the engine's proof was verified. */
export class CenterSession {
  readonly #owner: SessionOwner;
  readonly #socket: JsonSocket;
  readonly #nonce = createNonce();
  readonly #address: string;
  readonly #peer: string;
  readonly #handshakeTimer: Timer;
  #engineNonce: string | undefined;
  #id: string | undefined;
  #refused = false;

  constructor(socket: Socket, owner: SessionOwner) {
    this.#owner = owner;
    this.#address = socket.remoteAddress ?? "";
    this.#peer = `${this.#address}:${socket.remotePort}`;
    this.#socket = new JsonSocket(socket, MAX_ENGINE_MESSAGE);
    this.#socket.onMessage = (message) => this.#receive(message);
    this.#socket.onClose = (reason) => this.#closed(reason);
    this.#handshakeTimer = setTimeout(
      () => this.#socket.close(`no registration within ${HANDSHAKE_LIMIT / 1000} s`),
      HANDSHAKE_LIMIT,
    );
    if (owner.secret === undefined && !isThisMachine(this.#address)) {
      this.refuse(
        "without a secret only engines on the center's own machine are accepted: set the same cluster.secret on center and engines",
      );
    }
  }

  send(message: CenterMessage): void {
    this.#socket.send(message);
  }

  close(reason: string): void {
    this.#socket.close(reason);
  }

  refuse(reason: string): void {
    this.#refused = true;
    this.#warn(`refuse engine ${this.#peer}: ${reason}`);
    this.send({ type: "refused", reason });
    this.close(reason);
  }

  #receive(received: unknown): void {
    const message = readEngineMessage(received);
    switch (message.type) {
      case "hello":
        this.#challenge(message.protocol, message.cluster, message.nonce);
        break;
      case "register":
        this.#register(message.proof, message.candidate, message.number);
        break;
      case "heartbeat":
        this.send({ type: "heartbeat", loads: this.#owner.heard(this.#registered(), message.load) });
        break;
      case "leave":
        this.#owner.leave(this.#registered());
        this.close("the engine left");
        break;
      case "refused":
        this.#refused = true;
        this.#warn(`engine ${this.#peer} refuses this center: ${message.reason}`);
        this.close(message.reason);
    }
  }

  #registered(): string {
    if (this.#id === undefined) throw new ProtocolError("not registered yet");
    return this.#id;
  }

  #challenge(protocol: number, cluster: string, nonce: string): void {
    if (this.#engineNonce !== undefined) throw new ProtocolError("a second hello");
    if (protocol !== PROTOCOL) {
      this.refuse(
        `the engine speaks registry protocol ${protocol}, the center ${PROTOCOL}: run the same version on both`,
      );
      return;
    }
    if (cluster !== this.#owner.cluster) {
      const [engine, center] = [cluster, this.#owner.cluster].map((name) => JSON.stringify(name));
      this.refuse(`the engine's cluster.name is ${engine}, the center's ${center}`);
      return;
    }
    if (!isNonce(nonce)) throw new ProtocolError("malformed message: not a nonce");
    this.#engineNonce = nonce;
    const proof = createProof(this.#owner.secret, this.#challengeTo("registry-center"));
    this.send({ type: "challenge", nonce: this.#nonce, proof });
  }

  #challengeTo(role: "registry-engine" | "registry-center"): Challenge {
    const engine = this.#engineNonce ?? "";
    const { cluster } = this.#owner;
    return role === "registry-engine"
      ? { role, ownNonce: engine, peerNonce: this.#nonce, cluster }
      : { role, ownNonce: this.#nonce, peerNonce: engine, cluster };
  }

  #register(proof: string, candidate: Candidate, number: number | undefined): void {
    if (this.#engineNonce === undefined) throw new ProtocolError("register before hello");
    if (this.#id !== undefined) throw new ProtocolError("a second register");
    if (!verifyProof(this.#owner.secret, this.#challengeTo("registry-engine"), proof)) {
      this.refuse("the engine's proof of the cluster secret is wrong");
      return;
    }
    clearTimeout(this.#handshakeTimer);
    const refusal = this.#owner.register(this, candidate, number);
    if (refusal === undefined) this.#id = candidate.id;
    else this.refuse(refusal);
  }

  #closed(reason: string): void {
    clearTimeout(this.#handshakeTimer);
    if (this.#id === undefined && !this.#refused) this.#warn(`close connection of ${this.#peer}: ${reason}`);
    this.#owner.closed(this, this.#id);
  }

  #warn(message: string): void {
    this.#owner.throttled.warn(this.#address, message);
  }
}
