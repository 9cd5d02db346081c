import { describe, expect, test } from "bun:test";
import { type Challenge, createNonce, createProof, isNonce, verifyProof } from "../../src/cluster-auth.ts";

const challenge: Challenge = {
  role: "mesh-dialer",
  ownNonce: "00112233445566778899aabbccddeeff",
  peerNonce: "ffeeddccbbaa99887766554433221100",
  cluster: "connmix",
};

describe("cluster proof", () => {
  test("is HMAC-SHA256 over role, both nonces and the cluster name", () => {
    // printf 'mesh-dialer\n…\n…\nconnmix' | openssl dgst -sha256 -hmac swordfish
    expect(createProof("swordfish", challenge)).toBe(
      "69a7d0d92b12b8c8d630042a1ce6be19297b8d09c056a288672687c5b6dadb2f",
    );
  });

  test("is verified by the holder of the same secret only", () => {
    const proof = createProof("swordfish", challenge);
    expect(verifyProof("swordfish", challenge, proof)).toBe(true);
    expect(verifyProof("Swordfish", challenge, proof)).toBe(false);
    expect(verifyProof(undefined, challenge, proof)).toBe(false);
  });

  test("answers one challenge: role, nonces, their order and the cluster name all count", () => {
    const proof = createProof("swordfish", challenge);
    const { ownNonce, peerNonce } = challenge;
    const others: Partial<Challenge>[] = [
      { role: "mesh-listener" },
      { role: "registry-engine" },
      { ownNonce: createNonce() },
      { peerNonce: createNonce() },
      { ownNonce: peerNonce, peerNonce: ownNonce },
      { cluster: "staging" },
    ];
    for (const other of others) expect(verifyProof("swordfish", { ...challenge, ...other }, proof)).toBe(false);
  });

  test("without a secret is empty, and nothing else is accepted", () => {
    expect(createProof(undefined, challenge)).toBe("");
    expect(verifyProof(undefined, challenge, "")).toBe(true);
    expect(verifyProof("swordfish", challenge, "")).toBe(false);
  });

  test("of a wrong type or length is refused without an error", () => {
    for (const proof of [undefined, null, 1, {}, [], "a", "é".repeat(64), "f".repeat(1000)]) {
      expect(verifyProof("swordfish", challenge, proof)).toBe(false);
      expect(verifyProof(undefined, challenge, proof)).toBe(false);
    }
  });
});

test("nonces have one form and do not repeat", () => {
  const nonces = Array.from({ length: 1000 }, createNonce);
  expect(new Set(nonces).size).toBe(1000);
  expect(nonces.every(isNonce)).toBe(true);
  for (const other of [
    undefined,
    7,
    "",
    "abc",
    `${createNonce()}0`,
    createNonce().toUpperCase().replace(/^./, "G"),
    {},
  ]) {
    expect(isNonce(other)).toBe(false);
  }
});
