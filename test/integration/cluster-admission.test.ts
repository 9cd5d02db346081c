import { expect, setDefaultTimeout, test } from "bun:test";
import { notReady, withCluster } from "../support/cluster.ts";
import { Connmix } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { backendOf, connectTo } from "../support/station.ts";

setDefaultTimeout(60_000);

const SECRET = { secret: "right" };

test("center: another secret, none, or another cluster name is one line at the engine, exit code 1, and a line at the center", () =>
  withCluster(
    "center",
    1,
    async (cluster) => {
      for (const [settings, told, seen] of [
        [{ secret: "wrong" }, "different secrets: set the same cluster.secret on both", "different secrets"],
        [{ secret: undefined }, "different secrets: set the same cluster.secret on both", "different secrets"],
        [{ name: "other" }, 'cluster.name is "other", the center\'s "connmix"', 'cluster.name is "other"'],
      ] as const) {
        const before = cluster.center!.lines.length;
        const engine = new Connmix("engine", cluster.engineConfig({ cluster: settings }));
        expect(await engine.exited).toBe(1);
        expect(engine.stderr).toContain(told);
        expect(engine.stderr.trim().split("\n")).toHaveLength(1);
        await eventually(() => {
          expect(cluster.center!.lines.slice(before).join("\n")).toMatch(new RegExp(`WARN .*${seen}`));
        });
        await engine.kill();
      }
      await cluster.linked();
    },
    SECRET,
  ));

test("redis: an engine with another secret is linked with nobody, says why on both sides, and disturbs nobody", () =>
  withCluster(
    "redis",
    2,
    async (cluster) => {
      const [first, second] = cluster.engines;
      const wrong = await cluster.addEngine({ cluster: { secret: "wrong" } });
      const stranger = await cluster.addEngine({ cluster: { name: "other" } });
      cluster.engines.splice(2);
      try {
        for (const engine of [first!, second!, wrong]) await engine.line(/WARN .*no mesh link .*secret/);
        await eventually(async () => expect(await notReady(wrong)).toContain("no mesh link to"));
        for (const engine of [first!, second!]) expect(await notReady(engine)).toBeUndefined();
        // Another cluster on the same Redis: neither sees the other.
        expect(await notReady(stranger)).toBeUndefined();
        expect(stranger.lines.join("\n")).not.toContain(first!.nodeId);
        expect(first!.lines.join("\n")).not.toContain(stranger.nodeId);

        const client = await connectTo(second!);
        const [backend, outside] = [backendOf(first!), backendOf(wrong)];
        await backend.send(client.id, "from a peer");
        expect(await client.socket.text()).toBe("from a peer");
        expect(await outside.send(client.id, "not a peer").catch((error: unknown) => error)).toMatchObject({
          code: 401,
        });
        await Promise.all([backend.close(), outside.close()]);
        client.socket.close();
      } finally {
        await Promise.all([wrong.kill(), stranger.kill()]);
      }
    },
    SECRET,
  ));

for (const kind of ["center", "redis"] as const) {
  test(`${kind}: two engines that start at the same moment get two numbers and one link`, () =>
    withCluster(kind, 0, async (cluster) => {
      await Promise.all([cluster.addEngine(), cluster.addEngine()]);
      await cluster.linked();
      expect(new Set(Object.values(await cluster.registrations())).size).toBe(2);
      for (const engine of cluster.engines) {
        expect(engine.lines.filter((line) => /the mesh link with .* is up/.test(line))).toHaveLength(1);
      }
    }));
}
