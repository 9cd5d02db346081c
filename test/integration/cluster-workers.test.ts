import { expect, setDefaultTimeout, test } from "bun:test";
import { Client } from "../../src/client/index.ts";
import { nodes, withCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { metric, scrape } from "../support/metrics.ts";
import { freePort } from "../support/ports.ts";
import { TestSocket } from "../support/websocket.ts";

setDefaultTimeout(60_000);

const WORKERS = 3;
const CLIENTS = 60;

test("a worker killed under load costs its own connections only, beside another engine, on Redis", () =>
  withCluster("redis", 1, async (cluster) => {
    const [api, client] = [freePort(), freePort()];
    const supervisor = await cluster.addEngine({
      args: ["-p", String(WORKERS)],
      servers: WORKERS,
      engine: { apiServer: { port: api, bind: "127.0.0.1" } },
      server: { port: client },
    });
    const [alone] = cluster.engines;
    const listed = async () => nodes(alone!.apiPort);
    await eventually(async () => expect(await listed()).toHaveLength(WORKERS + 1));
    expect((await listed()).filter(({ api_server }) => api_server === `127.0.0.1:${api}`)).toHaveLength(WORKERS);

    const sockets = await Promise.all(
      Array.from({ length: CLIENTS }, () => TestSocket.connect(`ws://127.0.0.1:${client}`)),
    );
    const closed = new Set<TestSocket>();
    for (const socket of sockets) {
      void socket.closed.then(() => closed.add(socket));
      expect(await socket.ask("subscribe news")).toBe("subscribed");
    }
    await eventually(async () => expect(metric(await scrape(api), "connmix_engine_servers_clients")).toBe(CLIENTS));
    const backend = new Client({ url: `http://127.0.0.1:${alone!.apiPort}`, discover: false });
    await eventually(async () => expect((await backend.publish("news", "-1")).total).toBe(CLIENTS));

    let published = 0;
    const publisher = setInterval(() => void backend.publish("news", `${published++}`).catch(() => {}), 5);
    await eventually(() => expect(published).toBeGreaterThan(50));
    const [, pid] = /worker 1 is process (\d+)/.exec(supervisor.lines.join("\n"))!;
    process.kill(Number(pid), "SIGKILL");
    await supervisor.line(/worker 1 \(process \d+\) ended \(SIGKILL\), another is started/);
    await eventually(() => expect(published).toBeGreaterThan(300));
    await supervisor.lineTimes(/start the protocol server/, WORKERS + 1);
    await eventually(async () => expect(await listed()).toHaveLength(WORKERS + 1));
    clearInterval(publisher);

    const survivors = sockets.filter((socket) => !closed.has(socket));
    expect(closed.size).toBeGreaterThan(0);
    expect(survivors.length).toBeGreaterThan(0);
    await eventually(async () => {
      expect(metric(await scrape(api), "connmix_engine_servers_clients")).toBe(survivors.length);
      expect(await backend.publish("news", "last")).toEqual({ total: survivors.length, fail: 0 });
    });
    for (const socket of survivors) {
      let n = 0;
      for (let text = await socket.text(); text !== "last"; text = await socket.text()) {
        if (text === "-1") continue;
        expect(text).toBe(`${n++}`);
      }
      expect(n).toBe(published);
    }
    console.log(
      `the killed worker had ${closed.size} of ${CLIENTS} clients; the others heard all of ${published} publishes`,
    );
    await backend.close();
    for (const socket of survivors) socket.close();
  }));
