import { MetricSet } from "./metric-set.ts";

export interface CenterSources {
  version: string;
  /** Channels with subscribers, added up over the engines. */
  channels(): number;
  /** Clients of all engines. */
  clients(): number;
  /** Registered engines. */
  engineNodes(): number;
}

/** The metrics of a center. */
export function createCenterMetrics(sources: CenterSources): MetricSet {
  const metrics = new MetricSet(sources.version);
  metrics.gauge(
    "connmix_center_registry_channels_total",
    "Channels with subscribers, added up over the engines",
    [],
    () => [[sources.channels()]],
  );
  metrics.gauge("connmix_center_registry_clients", "Clients connected to all engines", [], () => [[sources.clients()]]);
  metrics.gauge("connmix_center_registry_engine_nodes", "Registered engines", [], () => [[sources.engineNodes()]]);
  return metrics;
}
