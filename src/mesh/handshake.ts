import { z } from "zod";
import { type AuthRole, createNonce, createProof, isNonce, verifyProof } from "../cluster-auth.ts";
import { FrameError, type FrameReader, FrameType } from "./frame.ts";
import type { Link } from "./link.ts";

/** Raised whenever engines of before and after a change of the frames would misunderstand each other. */
export const PROTOCOL = 1;

/** Why a link ends when the engine that was dialed is not the one that answers. */
export const ANOTHER_ENGINE = "another engine has its address now";

export interface Identity {
  nodeId: string;
  clusterName: string;
  secret: string | undefined;
  /** The program's version, for the peers' logs. */
  version: string;
}

const greeting = z.object({
  protocol: z.number().int(),
  cluster: z.string(),
  node: z.string().min(1).max(64),
  version: z.string(),
  /** Whom the sender takes the receiver for: another session means that it has forgotten the earlier one's messages. */
  session: z.string().min(1).max(64),
  nonce: z.string().refine(isNonce),
  proof: z.string().optional(),
});

/** What an engine says about itself. */
export type Greeting = z.infer<typeof greeting>;

export interface HandshakeEvents {
  /** Listening side: the session to answer with, or why this engine is not let in. */
  admit(nodeId: string): { session: string } | { refusal: string };
  /** The peer has proved who it is. */
  done(link: Link, peer: Greeting): void;
}

/**
 * Makes sure of the peer on a new link before anything else it says is believed. The dialing side sends `hello`, the listening
 * one `welcome` with its proof over both nonces, the dialing one `proof`. Either may answer `refuse`
 * and close; the link's `onClosed` is then told why.
 */
export class Handshake {
  readonly #nonce = createNonce();
  #peer: Greeting | undefined;

  constructor(
    readonly link: Link,
    readonly identity: Identity,
    readonly events: HandshakeEvents,
    /** Dialing side: who is expected to answer, and the session with it. */
    readonly dialed?: { nodeId: string; session: string },
  ) {
    link.onOpen = () => this.#opened();
    link.onFrame = (type, body) => this.#receive(type, body);
  }

  #opened(): void {
    if (this.identity.secret === undefined && !this.link.sameMachine) {
      this.#refuse("without a cluster.secret engines talk only to engines on the same machine");
    } else if (this.dialed !== undefined) {
      this.link.sendText(FrameType.hello, this.#greeting(this.dialed.session));
    }
  }

  #receive(type: number, body: FrameReader): void {
    const dials = this.dialed !== undefined;
    if (type === FrameType.refuse) {
      this.link.close(`refused by the other side: ${JSON.stringify(body.text().slice(0, 200))}`);
    } else if (type === FrameType.hello && !dials && this.#peer === undefined) {
      this.#hello(readGreeting(body));
    } else if (type === FrameType.welcome && dials) {
      this.#welcome(readGreeting(body));
    } else if (type === FrameType.proof && this.#peer !== undefined) {
      if (this.#proves(this.#peer, "mesh-dialer", body.text())) this.#done(this.#peer);
      else this.#refuse("wrong cluster.secret");
    } else {
      throw new FrameError(`frame type ${type} before the handshake was done`);
    }
  }

  #hello(peer: Greeting): void {
    const objection = this.#objection(peer);
    const admission = objection === undefined ? this.events.admit(peer.node) : { refusal: objection };
    if ("refusal" in admission) {
      this.#refuse(admission.refusal);
      return;
    }
    this.#peer = peer;
    const proof = createProof(this.identity.secret, {
      role: "mesh-listener",
      ownNonce: this.#nonce,
      peerNonce: peer.nonce,
      cluster: this.identity.clusterName,
    });
    this.link.sendText(FrameType.welcome, this.#greeting(admission.session, proof));
  }

  #welcome(peer: Greeting): void {
    const refusal = this.#objection(peer) ?? this.#impostor(peer);
    if (refusal !== undefined) {
      this.#refuse(refusal);
      return;
    }
    const proof = createProof(this.identity.secret, {
      role: "mesh-dialer",
      ownNonce: this.#nonce,
      peerNonce: peer.nonce,
      cluster: this.identity.clusterName,
    });
    this.link.sendText(FrameType.proof, proof);
    this.#done(peer);
  }

  /** Why the engine that answered is not the one that was dialed. */
  #impostor(peer: Greeting): string | undefined {
    if (peer.node !== this.dialed?.nodeId) {
      return `${ANOTHER_ENGINE}: expected ${this.dialed?.nodeId}, found ${JSON.stringify(peer.node)}`;
    }
    return this.#proves(peer, "mesh-listener", peer.proof) ? undefined : "wrong cluster.secret";
  }

  #objection(peer: Greeting): string | undefined {
    if (peer.protocol !== PROTOCOL) {
      return `mesh protocol ${PROTOCOL} expected, found ${peer.protocol} (connmix ${JSON.stringify(peer.version.slice(0, 40))})`;
    }
    if (peer.cluster !== this.identity.clusterName) {
      return `another cluster.name than ${JSON.stringify(peer.cluster.slice(0, 100))}`;
    }
    return undefined;
  }

  #proves(peer: Greeting, role: AuthRole, proof: unknown): boolean {
    const { secret, clusterName } = this.identity;
    return verifyProof(secret, { role, ownNonce: peer.nonce, peerNonce: this.#nonce, cluster: clusterName }, proof);
  }

  #greeting(session: string, proof?: string): string {
    const { clusterName, nodeId, version } = this.identity;
    const words: Greeting = {
      protocol: PROTOCOL,
      cluster: clusterName,
      node: nodeId,
      version,
      session,
      nonce: this.#nonce,
    };
    if (proof !== undefined) words.proof = proof;
    return JSON.stringify(words);
  }

  #done(peer: Greeting): void {
    this.link.trust();
    this.events.done(this.link, peer);
  }

  #refuse(reason: string): void {
    this.link.sendText(FrameType.refuse, reason);
    this.link.close(`refused by this side: ${reason}`);
  }
}

function readGreeting(body: FrameReader): Greeting {
  let json: unknown;
  try {
    json = JSON.parse(body.text());
  } catch {
    throw new FrameError("a greeting that is not JSON");
  }
  const result = greeting.safeParse(json);
  if (!result.success) throw new FrameError(`a greeting of the wrong shape: ${z.prettifyError(result.error)}`);
  return result.data;
}
