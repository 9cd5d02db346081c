import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parser } from "@prometheus-io/lezer-promql";
import { parse } from "yaml";
import { Connmix, freePorts } from "../support/connmix.ts";
import { scrape } from "../support/metrics.ts";

const ROOT = resolve(import.meta.dir, "../..");

let node: Connmix;
/** The names a center and an engine expose, and `up`, which Prometheus itself adds. */
const exposed = new Set<string>(["up"]);
/** Labels of each name, as far as samples show them. */
const labels = new Map<string, Set<string>>();

beforeAll(async () => {
  node = await Connmix.start("dev", freePorts({ entry: join(ROOT, "lua/entry.lua") }));
  for (const port of [node.apiPort, node.centerApiPort]) {
    for (const line of (await scrape(port)).split("\n")) {
      const type = /^# TYPE (\S+) /.exec(line)?.[1];
      if (type !== undefined) exposed.add(type);
      const [, name = "", text = ""] = /^([\w:]+)\{(.*)\} /.exec(line) ?? [];
      const seen = labels.get(name) ?? new Set<string>();
      for (const [, label = ""] of text.matchAll(/(\w+)="/g)) seen.add(label);
      if (name !== "") labels.set(name, seen);
    }
  }
});

afterAll(async () => {
  await node.stop();
});

/** The metric names of a query, with the labels it selects by; throws when it is not PromQL. */
function selectorsOf(query: string): { name: string; selects: string[] }[] {
  const found: { name: string; selects: string[] }[] = [];
  parser.parse(query).iterate({
    enter({ name, type, from, to, node }) {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${query}`);
      if (name !== "VectorSelector") return;
      const identifier = node.getChild("Identifier");
      const matchers = node.getChild("LabelMatchers")?.getChildren("UnquotedLabelMatcher") ?? [];
      found.push({
        name: query.slice(identifier?.from ?? from, identifier?.to ?? to),
        selects: matchers.map((matcher) => {
          const label = matcher.getChild("LabelName")!;
          return query.slice(label.from, label.to);
        }),
      });
    },
  });
  if (found.length === 0) throw new Error(`no metric in ${query}`);
  return found;
}

function expectExposed(query: string): void {
  for (const { name, selects } of selectorsOf(query)) {
    expect(exposed).toContain(name);
    for (const label of selects) {
      // Prometheus adds these two to whatever it scrapes.
      if (label !== "job" && label !== "instance") expect([...(labels.get(name) ?? [label])]).toContain(label);
    }
  }
}

test("every query of the Grafana dashboard is PromQL about metrics that exist", () => {
  const dashboard = JSON.parse(readFileSync(join(ROOT, "conf/grafana/connmix.json"), "utf8"));
  const queries: string[] = dashboard.panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
    targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m")),
  );
  expect(queries.length).toBeGreaterThan(30);
  for (const query of queries) expectExposed(query);
  for (const { type, query } of dashboard.templating.list) {
    if (type !== "query") continue;
    const [, selector = ""] = /^label_values\((.*), \w+\)$/.exec(query.query) ?? [];
    expectExposed(selector);
  }
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("every alert rule is PromQL about metrics that exist, and says what to do", () => {
  const { groups } = parse(readFileSync(join(ROOT, "conf/prometheus/alerts.yaml"), "utf8"));
  const rules = groups.flatMap((group: { rules: object[] }) => group.rules);
  expect(rules.length).toBeGreaterThan(10);
  for (const { alert, expr, labels: given, annotations } of rules) {
    expect(alert).toMatch(/^Connmix[A-Z]\w+$/);
    expectExposed(expr);
    expect(["warning", "critical"]).toContain(given.severity);
    expect(annotations.summary).not.toBe("");
  }
});
