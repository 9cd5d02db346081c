import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * How the nodes of one cluster recognise each other, on the registry and on the mesh: a challenge in both directions
 * (HMAC, RFC 2104, with SHA-256). Each side sends a fresh nonce, then a proof over both nonces; the secret itself is never
 * sent, and a recorded proof is worth nothing to the next connection.
 *
 * The usual exchange: the dialing side sends its nonce; the listening side answers with its own nonce and its proof; the
 * dialing side verifies that and sends its proof. Nothing else a peer says is believed before its proof was verified.
 */

/** Who makes a proof. It is a part of what is signed, so a proof can neither be sent back nor be used on the other protocol. */
export type AuthRole = "registry-engine" | "registry-center" | "mesh-dialer" | "mesh-listener";

export interface Challenge {
  /** Who makes the proof. */
  role: AuthRole;
  /** The nonce that the maker of the proof chose. */
  ownNonce: string;
  /** The nonce that the maker of the proof was challenged with. */
  peerNonce: string;
  /** Both sides sign the cluster name, so two clusters that share a secret stay apart. */
  cluster: string;
}

const NONCE_BYTES = 16;

/** 128 random bits as 32 lower-case hexadecimal digits, to be used for one connection. */
export function createNonce(): string {
  return randomBytes(NONCE_BYTES).toString("hex");
}

/** A peer's nonce must be as long as ours, or it could choose one that makes the signed text ambiguous. */
export function isNonce(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
}

/** The proof as 64 hexadecimal digits; the empty string in a cluster without a secret. */
export function createProof(secret: string | undefined, challenge: Challenge): string {
  if (secret === undefined) return "";
  const { role, ownNonce, peerNonce, cluster } = challenge;
  return createHmac("sha256", secret).update(`${role}\n${ownNonce}\n${peerNonce}\n${cluster}`).digest("hex");
}

/**
 * Whether `proof` answers `challenge`, which is seen from the side of the peer that made it (its role, its nonce as
 * `ownNonce`). Takes the same time wherever two proofs differ. Without a secret only the empty proof is right, so a node with
 * a secret and a node without one refuse each other.
 */
export function verifyProof(secret: string | undefined, challenge: Challenge, proof: unknown): boolean {
  if (typeof proof !== "string") return false;
  const expected = Buffer.from(createProof(secret, challenge));
  const found = Buffer.from(proof);
  return expected.length === found.length && timingSafeEqual(expected, found);
}
