import { cpus, release } from "node:os";
import { defineCommand, runMain } from "citty";
import { chart } from "./chart.ts";
import { measureRow, stopped } from "./measure.ts";
import { judged, type Report, within } from "./result.ts";
import type { Scale } from "./row.ts";
import { allRows } from "./rows.ts";
import { table } from "./table.ts";

const FULL: Scale = {
  rounds: 5,
  firstWarmup: { seconds: 3, messages: 50_000 },
  warmup: { seconds: 1, messages: 0 },
  seconds: 2,
  hurry: false,
  idleConnections: 10_000,
};
/** For CI: that everything runs and nothing is wildly off, on a machine that may be busy. */
const QUICK: Scale = {
  rounds: 1,
  firstWarmup: { seconds: 0.2, messages: 10_000 },
  warmup: { seconds: 0.2, messages: 0 },
  seconds: 0.3,
  hurry: true,
  idleConnections: 2000,
};
/** A ratio this many times what is to be reached is wrong, not slow. */
const WILD = 5;

const command = defineCommand({
  meta: { name: "bench", description: "Measures connmix beside bare Bun and other servers" },
  args: {
    quick: {
      type: "boolean",
      description: "one short round without peers, under a minute; fails when a ratio is wildly off",
    },
    only: { type: "string", description: "ids of rows, separated by commas", valueHint: "row,row" },
    rounds: { type: "string", description: `how often all contenders of a row take turns (${FULL.rounds})` },
    peers: { type: "boolean", default: true, description: "measure other servers too" },
    json: { type: "string", default: "dist/bench.json", description: "where the figures go" },
    svg: { type: "string", default: "dist/bench.svg", description: "where the chart goes" },
    list: { type: "boolean", description: "list the rows and stop" },
  },
  run: async ({ args }) => {
    const scale = { ...(args.quick ? QUICK : FULL) };
    if (args.rounds !== undefined) scale.rounds = positiveInteger("--rounds", args.rounds);
    const rows = chosen(scale.idleConnections, args.only).filter((row) => !(args.quick && row.large));
    if (args.list) {
      for (const row of rows) console.log(`${row.id.padEnd(20)} ${row.title}`);
      return;
    }

    const report: Report = {
      date: new Date().toISOString(),
      machine: { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, kernel: release(), bun: Bun.version },
      quick: args.quick ?? false,
      rounds: scale.rounds,
      secondsPerRound: scale.seconds,
      rows: [],
    };
    for (const row of rows) {
      const contenders =
        args.peers && !args.quick ? row.contenders : row.contenders.filter(({ role }) => role !== "peer");
      report.rows.push(await measureRow({ ...row, contenders }, scale, progress));
    }
    await stopped();
    progress("");

    await Bun.write(args.json, `${JSON.stringify(report, null, 2)}\n`);
    await Bun.write(args.svg, chart(report));
    console.log(table(report));
    console.log(`\nfigures: ${args.json}, chart: ${args.svg}`);
    const wrong = mistakes(report);
    for (const mistake of wrong) console.error(mistake);
    if (wrong.length > 0) process.exit(1);
  },
});

function chosen(idleConnections: number, only: string | undefined) {
  const rows = allRows(idleConnections);
  if (only === undefined) return rows;
  const ids = only.split(",");
  const unknown = ids.filter((id) => !rows.some((row) => row.id === id));
  if (unknown.length > 0)
    throw new Error(`no such row: ${unknown.join(", ")}; there are ${rows.map(({ id }) => id).join(", ")}`);
  return rows.filter(({ id }) => ids.includes(id));
}

function positiveInteger(name: string, given: string): number {
  const number = Number(given);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`${name} is ${given}; expected a whole number, 1 or more`);
  return number;
}

/** What failed, and, in a quick run, what cannot be right. */
function mistakes(report: Report): string[] {
  return report.rows.flatMap((row) => {
    const failed = row.contenders
      .filter((contender) => contender.failed)
      .map(({ name, absent }) => `${row.id}: ${name} failed: ${absent}`);
    const { reach } = row;
    // Times are not judged: a busy machine may make anything slow.
    const timed = row.figure === "throughput" || row.figure === "latency";
    if (!report.quick || reach === undefined || timed) return failed;
    const wild = judged(row)
      .filter((figures) => !within(reach, row.figure, figures, WILD))
      .map(({ ratio }) => `${row.id}: connmix is wildly off what it is to reach (ratio ${ratio.toFixed(2)})`);
    return [...failed, ...wild];
  });
}

/** One line on the terminal that replaces itself. */
function progress(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
await runMain(command);
