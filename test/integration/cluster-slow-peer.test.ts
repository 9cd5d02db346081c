import { expect, setDefaultTimeout, test } from "bun:test";
import type { PublishCount } from "../../src/client/index.ts";
import type { Connmix } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { withProxiedLink } from "../support/proxied-cluster.ts";
import { backendOf, connectTo, type GatewayClient } from "../support/station.ts";

setDefaultTimeout(60_000);

const MIB = 1024 * 1024;
const MESSAGE = 256 * 1024;
/** Twice what may wait for one peer. */
const MESSAGES = 512;
const MOST_WAITING = 64 * MIB;

function residentBytes(engine: Connmix): Promise<number> {
  return Bun.file(`/proc/${engine.pid}/status`)
    .text()
    .then((status) => Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024);
}

/** The number at the beginning of the next message. */
async function next(client: GatewayClient): Promise<number> {
  const text = await client.socket.text();
  return text === "before" ? next(client) : Number.parseInt(text, 10);
}

test("a peer that does not read slows nobody else, and what waits for it is bounded", () =>
  withProxiedLink(
    "redis",
    3,
    async (_cluster, { from, to, proxy, others }) => {
      const [other] = others as [Connmix];
      const [slow, quick] = [await connectTo(to), await connectTo(other)];
      for (const { socket } of [slow, quick]) expect(await socket.ask("subscribe news")).toBe("subscribed");
      const backend = backendOf(from);
      await eventually(async () => expect(await backend.publish("news", "before")).toEqual({ total: 2, fail: 0 }));
      const before = await residentBytes(from);

      proxy.hold("forward");
      const rest = "x".repeat(MESSAGE);
      const counts: Promise<PublishCount>[] = [];
      let longest = 0;
      let most = before;
      for (let n = 0; n < MESSAGES; n++) {
        const sent = performance.now();
        counts.push(backend.publish("news", `${n} ${rest}`));
        expect(await next(quick)).toBe(n);
        longest = Math.max(longest, performance.now() - sent);
        if (n % 32 === 0) most = Math.max(most, await residentBytes(from));
      }
      const text = await scrape(from.apiPort);
      const peer = `peer="${to.nodeId}"`;
      const waiting = metric(text, "connmix_engine_mesh_waiting_bytes", peer);
      const dropped = metric(text, "connmix_engine_mesh_dropped_total", peer);
      expect(waiting).toBeGreaterThan(MOST_WAITING - 2 * MESSAGE);
      expect(waiting).toBeLessThanOrEqual(MOST_WAITING);
      expect(dropped).toBeGreaterThan(MESSAGES / 4);
      expect(longest).toBeLessThan(2000);
      expect(most - before).toBeLessThan(6 * MOST_WAITING);
      await from.line(new RegExp(`engine ${to.nodeId} .* does not keep up, \\d+ bytes wait`));
      console.log(
        `beside a peer that does not read: slowest delivery ${longest.toFixed(0)} ms, ${(waiting / MIB).toFixed(0)} MiB wait, ` +
          `${dropped} of ${MESSAGES} publishes refused for it, ${((most - before) / MIB).toFixed(0)} MiB more memory`,
      );

      proxy.release();
      const outcomes = await Promise.all(counts);
      expect(outcomes.every(({ total }) => total === 2)).toBe(true);
      // What was accepted arrives, in order, also what was answered too late to count.
      for (let n = 0; n < MESSAGES - dropped; n++) expect(await next(slow)).toBe(n);
      expect(await backend.publish("news", "again")).toEqual({ total: 2, fail: 0 });
      expect(await slow.socket.text()).toBe("again");
      await backend.close();
    },
    // What was held back comes to the client in one burst.
    { server: { writeBufferSize: 2 * MOST_WAITING } },
  ));
