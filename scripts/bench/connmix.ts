import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Load, Target } from "./load/load.ts";
import type { Contender } from "./row.ts";
import { freePorts, type Running, SERVER_CORE, ServerProcess } from "./server-process.ts";

const ROOT = join(import.meta.dir, "../..");

export interface ConnmixOptions {
  /** Entry script in `lua/` of the benchmark, or a path from the repository's root. */
  entry: string;
  protocol?: "websocket" | "socket";
  /** Engines, each a process; more than one have a center beside them. */
  engines?: number;
  /** `-p N`: worker processes that share one engine's ports. */
  processes?: number;
  /** Not kept to the servers' core. */
  allCores?: boolean;
}

/** connmix itself, everything not named here at its defaults. Ports: `client` and `api` of the first engine, `client2`, `api2`, … of the others. */
export function connmix(name: string, options: ConnmixOptions, load: (server: Running) => Load): Contender {
  return { name, role: "connmix", load, start: () => start(options) };
}

/** The WebSocket API of the first engine. */
export function apiTarget(server: Running, extra: Partial<Target> = {}): Target {
  return { port: server.ports.api!, protocol: "websocket", path: "/ws/v1", ...extra };
}

async function start(options: ConnmixOptions): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), "connmix-bench-"));
  const engines = options.engines ?? 1;
  const started: ServerProcess[] = [];
  const stop = async () => {
    await Promise.all(started.reverse().map((server) => server.stop()));
    await rm(folder, { recursive: true });
  };
  const run = async (command: string, config: object, ...flags: string[]) => {
    const file = join(folder, `${started.length}.yaml`);
    // JSON is YAML.
    await Bun.write(file, JSON.stringify(config));
    const server = new ServerProcess([process.execPath, join(ROOT, "src/main.ts"), command, "-f", file, ...flags], {
      core: options.allCores ? undefined : SERVER_CORE,
      cwd: ROOT,
    });
    started.push(server);
    return server;
  };

  try {
    const [registry, centerApi, ...free] = freePorts(2 + 3 * engines) as [number, number, ...number[]];
    const shared = {
      logging: { filename: join(folder, "connmix.log"), level: "warn" },
      cluster: { advertise: "127.0.0.1" },
      center: {
        registry: { port: registry, bind: "127.0.0.1" },
        apiServer: { port: centerApi, bind: "127.0.0.1" },
      },
    };
    const together = engines === 1;
    if (!together) await (await run("center", shared)).listening(registry);

    const ports: Record<string, number> = {};
    const nodes: ServerProcess[] = [];
    for (let i = 0; i < engines; i++) {
      const [client, api, mesh] = free.slice(3 * i) as [number, number, number];
      const config = {
        ...shared,
        engine: {
          centerRegistry: `127.0.0.1:${registry}`,
          meshPoint: { port: mesh, bind: "127.0.0.1" },
          apiServer: { port: api, bind: "127.0.0.1" },
          servers: [{ port: client, bind: "127.0.0.1", protocol: options.protocol, entry: entryPath(options.entry) }],
        },
      };
      const number = i === 0 ? "" : String(i + 1);
      ports[`client${number}`] = client;
      ports[`api${number}`] = api;
      nodes.push(await run(together ? "single" : "engine", config, ...workers(options.processes)));
    }
    for (const [i, node] of nodes.entries()) {
      const api = ports[i === 0 ? "api" : `api${i + 1}`]!;
      await node.until("become ready", () => isReady(api, engines * (options.processes ?? 1)));
    }
    return { pids: () => nodes.flatMap((node) => node.pids()), ports, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function entryPath(entry: string): string {
  return entry.includes("/") ? join(ROOT, entry) : join(import.meta.dir, "lua", entry);
}

function workers(processes: number | undefined): string[] {
  return processes === undefined ? [] : ["-p", String(processes)];
}

/** The engine serves and sees all its peers. */
async function isReady(api: number, nodes: number): Promise<boolean> {
  try {
    const ready = await fetch(`http://127.0.0.1:${api}/readyz`);
    if (!ready.ok) return false;
    const listing = (await (await fetch(`http://127.0.0.1:${api}/v1/nodes`)).json()) as { nodes: unknown[] };
    return listing.nodes.length >= nodes;
  } catch {
    return false;
  }
}
