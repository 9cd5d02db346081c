import { expect, setDefaultTimeout, test } from "bun:test";
import { withCluster } from "../support/cluster.ts";
import { metric, scrape } from "../support/metrics.ts";
import { backendOf, connectTo } from "../support/station.ts";

setDefaultTimeout(60_000);

const NAME = "connmix_engine_servers_send_duration_seconds";

test("sends are timed: to own clients by their protocol, to those of other engines as forwarded", () =>
  withCluster("center", 2, async ({ engines }) => {
    const [first, second] = await Promise.all(engines.map(connectTo));
    const backend = backendOf(engines[0]!);
    try {
      for (let i = 0; i < 3; i++) {
        await backend.send(first!.id, "here");
        expect(await first!.socket.text()).toBe("here");
      }
      for (let i = 0; i < 5; i++) await backend.send(second!.id, "there");
      expect(await first!.socket.ask(`send ${second!.id} by script`)).toBe("sent");

      const asked = await scrape(engines[0]!.apiPort);
      const local = `protocol="websocket",scenario="local"`;
      const forward = `protocol="mesh",scenario="forward"`;
      expect(metric(asked, `${NAME}_count`, local)).toBe(3);
      expect(metric(asked, `${NAME}_count`, forward)).toBe(6);
      for (const scenario of [local, forward]) {
        const slowest = metric(asked, NAME, `${scenario},quantile="1"`);
        expect(slowest).toBeGreaterThan(0);
        expect(slowest).toBeLessThan(60);
        expect(metric(asked, `${NAME}_sum`, scenario)).toBeGreaterThanOrEqual(slowest);
      }
      expect(await scrape(engines[1]!.apiPort)).not.toContain(`${NAME}_count`);
    } finally {
      await backend.close();
      first!.socket.close();
      second!.socket.close();
    }
  }));
