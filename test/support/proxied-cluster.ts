import { Cluster, type EngineOptions, type RegistryKind } from "./cluster.ts";
import type { Connmix } from "./connmix.ts";
import { MeshProxy } from "./mesh-proxy.ts";

/** Engines advertise this address and listen on 127.0.0.1: on the same port of this one a proxy passes everything on. */
const ADVERTISED = "127.0.0.2";

/** A link between two engines, through a proxy; `from` is the one that dials. */
export interface ProxiedLink {
  from: Connmix;
  to: Connmix;
  proxy: MeshProxy;
  /** The engines that have nothing to do with this link. */
  others: Connmix[];
}

/** Runs a test on a cluster in which one link can be cut, held and slowed, and no other is touched by that. */
export async function withProxiedLink(
  kind: RegistryKind,
  engines: 2 | 3,
  run: (cluster: Cluster, link: ProxiedLink) => Promise<void>,
  options: EngineOptions = {},
): Promise<void> {
  const cluster = await Cluster.start(kind, 0, { advertise: ADVERTISED });
  const proxies = new Map<Connmix, MeshProxy>();
  try {
    for (let n = 0; n < engines; n++) {
      const engine = await cluster.addEngine(options);
      const proxy = new MeshProxy({ host: "127.0.0.1", port: engine.meshPort });
      proxy.listen(ADVERTISED, engine.meshPort);
      proxies.set(engine, proxy);
    }
    await cluster.linked();
    // The lower id dials: the second lowest is dialed by the lowest only.
    const [from, to, ...others] = cluster.engines.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1)) as [
      Connmix,
      Connmix,
    ];
    await run(cluster, { from, to, proxy: proxies.get(to)!, others });
  } finally {
    await cluster.dispose();
    for (const proxy of proxies.values()) proxy.stop();
  }
}
