import { type ContenderResult, type Report, type RowResult, value } from "./result.ts";
import { count, goal, kibibytes, micros, ratio } from "./table.ts";

const COLUMNS = 2;
const COLUMN_WIDTH = 440;
const GUTTER = 40;
const BAR_HEIGHT = 14;
const LINE_HEIGHT = 22;
const NAME_WIDTH = 170;
const LABEL_WIDTH = 110;
const BAR_WIDTH = COLUMN_WIDTH - NAME_WIDTH - LABEL_WIDTH;
const PANEL_HEAD = 42;
const PANEL_GAP = 22;
const HEAD = 34;

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; }
  .quiet { fill: #59636e; }
  .control { fill: #8c959f; }
  .connmix { fill: #0969da; }
  .peer { fill: #d4a72c; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .quiet { fill: #9198a1; }
    .control { fill: #6e7681; }
    .connmix { fill: #4493f8; }
    .peer { fill: #bb8009; }
  }`;

const WHAT = {
  cpu: (row: RowResult) => `server CPU per ${row.unit}`,
  throughput: (row: RowResult) => `${row.unit}s a second, longer is better`,
  capacity: (row: RowResult) => `${row.unit}s per CPU second of the busiest process`,
  memory: (row: RowResult) => `server memory per ${row.unit}`,
  latency: () => "median time",
};

/** The report as an SVG picture: a panel of horizontal bars for each row, readable on light and dark pages. */
export function chart(report: Report): string {
  const bottoms = new Array<number>(COLUMNS).fill(HEAD);
  const panels = report.rows
    .filter((row) => row.contenders.some(({ figures }) => figures !== undefined))
    .map((row) => {
      const column = bottoms.indexOf(Math.min(...bottoms));
      const x = column * (COLUMN_WIDTH + GUTTER);
      const y = bottoms[column]!;
      const bars = row.contenders.filter(({ figures }) => figures !== undefined);
      bottoms[column] = y + PANEL_HEAD + bars.length * LINE_HEIGHT + PANEL_GAP;
      return panel(row, bars, x, y);
    });
  const width = COLUMNS * COLUMN_WIDTH + (COLUMNS - 1) * GUTTER;
  const height = Math.max(...bottoms);
  const { cpu, cores, bun } = report.machine;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="connmix benchmark">`,
    `<style>${STYLE}</style>`,
    `<text x="0" y="14" class="quiet">${Bun.escapeHTML(`${cores} × ${cpu}, Bun ${bun}, ${report.date.slice(0, 10)}; medians of ${report.rounds} interleaved rounds`)}</text>`,
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function panel(row: RowResult, bars: ContenderResult[], x: number, y: number): string {
  const longest = Math.max(...bars.map(({ figures }) => value(row.figure, figures!)));
  const what = WHAT[row.figure](row) + (row.reach === undefined ? "" : `; to reach: ${goal(row.figure, row.reach)}`);
  return [
    `<g transform="translate(${x} ${y})">`,
    `<text y="12" class="title">${Bun.escapeHTML(row.title)}</text>`,
    `<text y="28" class="quiet">${Bun.escapeHTML(what)}</text>`,
    ...bars.map((contender, i) => bar(row, contender, i, longest)),
    "</g>",
  ].join("\n");
}

function bar(row: RowResult, { name, role, figures }: ContenderResult, i: number, longest: number): string {
  const shown = value(row.figure, figures!);
  const top = PANEL_HEAD + i * LINE_HEIGHT;
  const width = Math.max(1, Math.round((Math.max(0, shown) / longest) * BAR_WIDTH));
  const baseline = top + BAR_HEIGHT - 3;
  const label = i === 0 ? format(row, shown) : `${format(row, shown)} · ${ratio(figures!)}`;
  return [
    `<text y="${baseline}">${Bun.escapeHTML(name)}</text>`,
    `<rect class="${role}" x="${NAME_WIDTH}" y="${top}" width="${width}" height="${BAR_HEIGHT}" rx="2"/>`,
    `<text x="${NAME_WIDTH + width + 6}" y="${baseline}" class="quiet">${Bun.escapeHTML(label)}</text>`,
  ].join("");
}

function format(row: RowResult, shown: number): string {
  switch (row.figure) {
    case "cpu":
    case "latency":
      return micros(shown);
    case "memory":
      return kibibytes(shown);
    case "throughput":
    case "capacity":
      return count(shown);
  }
}
