import {
  type Aggregator,
  Counter,
  collectDefaultMetrics,
  Gauge,
  type MetricObject,
  type MetricObjectWithValues,
  type MetricValueWithName,
  Registry,
  Summary,
} from "prom-client";
import { uncaughtErrors } from "../faults.ts";
import type { DurationWindow } from "./duration-window.ts";

export type Labels = Record<string, string>;
export type Sample = readonly [value: number, labels?: Labels];

const QUANTILES = [0, 0.25, 0.5, 0.75, 1];

/** Metrics of the library's default set that mean nothing under Bun: V8's heap spaces, libuv's handles, Node's version. */
const NOT_IN_BUN = /^nodejs_(heap_space|active|gc|version)|^process_heap_bytes$/;
/** Milliseconds between two looks at the event loop's delay: each wakes an idle engine, 20 a second were a third of its idle CPU. */
const LOOP_PRECISION = 250;

/** What a summary shows of one kind of operation. */
export interface Durations {
  labels: Labels;
  window: DurationWindow;
}

/** A summary whose observations are kept by `DurationWindow`s. */
class WindowSummary extends Summary {
  readonly #durations: () => readonly Durations[];

  constructor(name: string, help: string, labelNames: string[], durations: () => readonly Durations[]) {
    super({ name, help, labelNames, registers: [] });
    this.#durations = durations;
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const metric = await super.get();
    const { name } = metric;
    const values: MetricValueWithName<string>[] = [];
    for (const { labels, window } of this.#durations()) {
      const quantiles = window.quantiles(QUANTILES);
      for (const [index, value] of quantiles.entries()) {
        values.push({ labels: { ...labels, quantile: QUANTILES[index]! }, value });
      }
      values.push({ metricName: `${name}_sum`, labels, value: window.sum });
      values.push({ metricName: `${name}_count`, labels, value: window.count });
    }
    return { ...metric, values };
  }
}

/**
 * The metrics of one node, first those that every node has. Nothing is counted here: parts keep plain numbers, and each metric reads them when it is scraped, so
 * that measuring costs nothing in between. Samples with the same labels are added up.
 */
export class MetricSet {
  readonly #registry = new Registry();

  constructor(version: string) {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LOOP_PRECISION });
    for (const { name } of this.#registry.getMetricsAsArray()) {
      if (NOT_IN_BUN.test(name)) this.#registry.removeSingleMetric(name);
    }
    this.gauge("connmix_build_info", "Version of this node; always 1", ["version"], () => [[1, { version }]], "max");
    this.counter(
      "connmix_process_uncaught_errors_total",
      "Errors nothing caught: defects of connmix, which the process survived; the log has each with its stack",
      [],
      () => [[uncaughtErrors()]],
    );
  }

  counter(name: string, help: string, labelNames: string[], read: () => Iterable<Sample>): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, labels = {}] of read()) this.inc(labels, value);
      },
    });
  }

  /** `aggregator`: what `sumMetrics` makes of the values of several processes. */
  gauge(
    name: string,
    help: string,
    labelNames: string[],
    read: () => Iterable<Sample>,
    aggregator: Aggregator = "sum",
  ): void {
    new Gauge({
      name,
      help,
      labelNames,
      aggregator,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, labels = {}] of read()) this.inc(labels, value);
      },
    });
  }

  summary(name: string, help: string, labelNames: string[], durations: () => readonly Durations[]): void {
    this.#registry.registerMetric(new WindowSummary(name, help, labelNames, durations));
  }

  /** Prometheus text format 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** The same as values, for `sumMetrics`. */
  json(): Promise<MetricObject[]> {
    return this.#registry.getMetricsAsJSON();
  }
}
