import { Access } from "./api/access.ts";
import { ApiServer } from "./api/server.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { Config } from "./config/schema.ts";
import { consoleRoutes } from "./console/console.ts";
import { Certificate } from "./listen/certificate.ts";
import { RemoteAddress } from "./listen/remote-address.ts";
import type { OwnLog } from "./log.ts";
import type { MetricSet } from "./metrics/metric-set.ts";
import type { RunningCenter } from "./node.ts";
import { CenterServer } from "./registry/center-server.ts";
import type { NodeRecord } from "./registry/registry.ts";
import { VERSION } from "./version.ts";

/** Milliseconds without a heartbeat after which an engine is dead for everyone. */
const TTL_MS = 10_000;

/** Builds a center from its parts and starts it: the registry, and the API server that tells who is registered. */
export async function startCenter(loaded: LoadedConfig, log: OwnLog): Promise<RunningCenter> {
  const { config } = loaded;
  const { center, cluster } = config;
  const { tls, trustedProxies } = center.apiServer;
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
  let loading: Promise<MetricSet> | undefined;
  // Loaded when the center serves already: the library would take a quarter of the start.
  const metrics = () => {
    loading ??= import("./metrics/center-metrics.ts").then(({ createCenterMetrics }) =>
      createCenterMetrics({
        version: VERSION,
        channels: () => members.reduce((sum, member) => sum + (member.load?.channels ?? 0), 0),
        clients: () => members.reduce((sum, member) => sum + (member.load?.clients ?? 0), 0),
        engineNodes: () => members.length,
      }),
    );
    return loading;
  };
  const access = new Access(config.access.users);
  const api = new ApiServer({
    ...center.apiServer,
    name: "center api server",
    reusePort: false,
    certificate: tls && new Certificate(tls, loaded.where(["center", "apiServer", "tls"]), log),
    remoteAddress: new RemoteAddress(trustedProxies),
    limits: center.apiServer,
    access,
    allowedOrigins: [],
    status: {
      version: VERSION,
      nodes: () => members,
      metrics: async () => (await metrics()).text(),
      ready: () => undefined,
    },
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
