import { AggregatorRegistry, type MetricObject, type MetricObjectWithValues, type MetricValue } from "prom-client";

type Metric = MetricObject & Partial<MetricObjectWithValues<MetricValue<string>>>;

/**
 * The Prometheus text of several processes as one: counters, gauges and summary counts are added up; quantiles, which cannot
 * be, are averaged. `processes`: what each one's `MetricSet.json()` gave.
 */
export function sumMetrics(processes: readonly (readonly object[])[]): Promise<string> {
  const metrics = processes as readonly (readonly Metric[])[];
  const holders = new Map<string, number>();
  for (const metric of metrics.flat()) {
    for (const value of quantilesOf(metric)) {
      const key = keyOf(metric, value);
      holders.set(key, (holders.get(key) ?? 0) + 1);
    }
  }
  const shared = metrics.map((list) =>
    list.map((metric) => {
      const quantiles = new Set(quantilesOf(metric));
      const values = metric.values?.map((value) =>
        quantiles.has(value) ? { ...value, value: value.value / holders.get(keyOf(metric, value))! } : value,
      );
      return { ...metric, values };
    }),
  );
  return AggregatorRegistry.aggregate(shared).metrics();
}

function quantilesOf(metric: Metric): MetricValue<string>[] {
  return (metric.values ?? []).filter(({ labels }) => "quantile" in labels);
}

function keyOf(metric: Metric, { labels }: MetricValue<string>): string {
  return `${metric.name} ${JSON.stringify(Object.entries(labels).sort())}`;
}
