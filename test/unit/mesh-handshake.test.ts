import { expect, test } from "bun:test";
import { Handshake, type HandshakeEvents } from "../../src/mesh/handshake.ts";
import { Link, type LinkLimits } from "../../src/mesh/link.ts";

const LIMITS: LinkLimits = { maxFrame: 1000, maxWaiting: 10_000, heartbeat: 100, deadAfter: 300, handshake: 200 };
const NOBODY: HandshakeEvents = {
  admit: () => ({ refusal: "nobody" }),
  done: () => expect.unreachable("without a greeting"),
};

function open(secret: string | undefined, sameMachine: boolean): { link: Link; reasons: string[] } {
  const link = new Link(LIMITS);
  const reasons: string[] = [];
  link.onClosed = (reason) => reasons.push(reason);
  new Handshake(link, { nodeId: "a", clusterName: "test", secret, version: "1.0.0" }, NOBODY);
  link.sameMachine = sameMachine;
  link.onOpen();
  return { link, reasons };
}

test("without a secret a peer on another machine is refused, whatever it says", () => {
  const { link, reasons } = open(undefined, false);
  expect(link.closed).toBe(true);
  expect(reasons).toEqual([
    "refused by this side: without a cluster.secret engines talk only to engines on the same machine",
  ]);
});

test("with a secret, or on the same machine, it is heard", () => {
  expect(open("s3cret", false).link.closed).toBe(false);
  expect(open(undefined, true).link.closed).toBe(false);
});

test("a link is pinged, dies of silence, and is forgiven what this process slept through", () => {
  const link = new Link(LIMITS);
  const reasons: string[] = [];
  link.onClosed = (reason) => reasons.push(reason);
  link.trust();
  const now = performance.now();
  link.tick(now + 100);
  expect(link.framesOut).toBe(1);
  link.tick(now + 150);
  expect(link.framesOut).toBe(1);
  link.tick(now + 290);
  expect(link.framesOut).toBe(2);
  link.forgive(10_000);
  link.tick(now + 10_200);
  expect(link.closed).toBe(false);
  link.tick(now + 10_400);
  expect(reasons).toEqual(["nothing heard for 0.4 s"]);
});
