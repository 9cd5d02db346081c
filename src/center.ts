import { Access } from "./api/access.ts";
import { ApiServer } from "./api/server.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { consoleRoutes } from "./console/console.ts";
import type { OwnLog } from "./log.ts";
import { createCenterMetrics } from "./metrics/center-metrics.ts";
import type { RunningCenter } from "./node.ts";
import { CenterServer } from "./registry/center-server.ts";
import type { NodeRecord } from "./registry/registry.ts";
import { VERSION } from "./version.ts";

/** Milliseconds without a heartbeat after which an engine is dead for everyone. */
const TTL_MS = 10_000;

/** Builds a center from its parts and starts it: the registry, and the API server that tells who is registered. */
export async function startCenter({ config }: LoadedConfig, log: OwnLog): Promise<RunningCenter> {
  const { center, cluster } = config;
  const startedAt = Date.now();
  let members: NodeRecord[] = [];
  const registry = new CenterServer({
    ...center.registry,
    cluster: cluster.name,
    secret: cluster.secret,
    ttl: TTL_MS,
    log,
  });
  registry.onMembers = (list) => {
    members = list;
  };
  const metrics = createCenterMetrics({
    version: VERSION,
    channels: () => members.reduce((sum, member) => sum + (member.load?.channels ?? 0), 0),
    clients: () => members.reduce((sum, member) => sum + (member.load?.clients ?? 0), 0),
    engineNodes: () => members.length,
  });
  const access = new Access(config.access.users);
  const api = new ApiServer({
    ...center.apiServer,
    name: "center api server",
    reusePort: false,
    limits: center.apiServer,
    access,
    allowedOrigins: [],
    status: { version: VERSION, nodes: () => members, metrics: () => metrics.text(), ready: () => undefined },
    extraRoutes: consoleRoutes(() => ({
      node: {
        id: "center",
        role: "center",
        version: VERSION,
        registry: "center",
        uptime: (Date.now() - startedAt) / 1000,
      },
      members,
      log: [...log.recent()],
    })),
    log,
  });
  await registry.start();
  try {
    await api.start();
  } catch (thrown) {
    await registry.stop();
    throw thrown;
  }
  return {
    registryPort: registry.port,
    async stop() {
      await api.stop();
      await registry.stop();
    },
    reconfigure(changed: Config) {
      access.replace(changed.access.users);
      api.limits = changed.center.apiServer;
    },
  };
}
