import type { ContenderResult, Figures, Report, RowResult } from "./result.ts";
import type { Figure, Reach } from "./row.ts";

const HEADINGS = ["", "CPU/msg", "ratio", "msg/s", "p50", "p99", ""];

/** The report as text for a terminal: a block for each row. */
export function table(report: Report): string {
  const { cpu, cores, kernel, bun } = report.machine;
  const blocks = report.rows.map(block);
  return [
    `${cores} × ${cpu}, Linux ${kernel}, Bun ${bun}; ${report.rounds} rounds of ${report.secondsPerRound} s, medians; ratio: to the row's first line`,
    ...blocks,
  ].join("\n\n");
}

function block(row: RowResult): string {
  const cells = [HEADINGS, ...row.contenders.map((contender) => line(row, contender))];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((cell) => cell[column]?.length ?? 0)));
  const lines = cells.map((cell) =>
    cell
      .map((text, column) =>
        column === 0 || column === HEADINGS.length - 1 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!),
      )
      .join("  ")
      .trimEnd(),
  );
  return [heading(row), ...lines.map((text) => `  ${text}`)].join("\n");
}

function heading(row: RowResult): string {
  const parts = [`${row.id}: ${row.title}`];
  if (row.reach !== undefined) parts.push(`to reach ${goal(row.figure, row.reach)}${verdict(row)}`);
  if (row.ahead.length > 0) parts.push(`ahead of connmix: ${row.ahead.join(", ")}`);
  return parts.join(" · ");
}

function verdict(row: RowResult): string {
  return row.reached === undefined ? "" : row.reached ? ": reached" : ": MISSED";
}

export function goal(figure: Figure, reach: Reach): string {
  if ("ratioAtMost" in reach) return `≤ ${reach.ratioAtMost}×`;
  if ("ratioAtLeast" in reach) return `≥ ${reach.ratioAtLeast}×`;
  return `≤ ${figure === "memory" ? kibibytes(reach.atMost) : micros(reach.atMost)}`;
}

function line(row: RowResult, { name, figures, absent, failed }: ContenderResult): string[] {
  const why = failed ? "failed" : (absent ?? "");
  if (figures === undefined) return [name, "", "", "", "", "", why];
  const notes = [
    figures.bytesPerConnection === undefined ? "" : `${kibibytes(figures.bytesPerConnection)} each`,
    row.figure === "capacity" ? `${count(figures.capacity)} msg per CPU second of the busiest process` : "",
    figures.clientBound ? `the load client was the bottleneck` : "",
    why,
  ];
  return [
    name,
    micros(figures.cpuMicros),
    row.contenders[0]?.name === name ? "" : ratio(figures),
    count(figures.perSecond),
    figures.p50 === 0 ? "" : micros(figures.p50),
    figures.p99 === 0 ? "" : micros(figures.p99),
    notes.filter((note) => note !== "").join("; "),
  ];
}

export function ratio(figures: Figures): string {
  return Number.isNaN(figures.ratio) ? "" : `${figures.ratio.toFixed(2)}×`;
}

/** A time in the unit that reads best. */
export function micros(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(0)} ms`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} ms`;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} µs`;
}

export function kibibytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

export function count(perSecond: number): string {
  return Math.round(perSecond).toLocaleString("en");
}
