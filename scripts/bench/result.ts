import type { Measurement } from "./load/load.ts";
import type { Contender, Figure, Reach, Row } from "./row.ts";
import { median } from "./statistics.ts";

/** Medians over the rounds. */
export interface Figures {
  /** Server CPU per message, µs. */
  cpuMicros: number;
  perSecond: number;
  /** Messages in a second of the busiest process's CPU. */
  capacity: number;
  /** µs; 0 where the load has no latency. */
  p50: number;
  p99: number;
  bytesPerConnection?: number;
  /** The row's figure of this contender ÷ that of the first, in the same round; the median of the rounds. */
  ratio: number;
  /** The load client had no more to give while the server had: throughput and latency are the client's, not the server's. */
  clientBound: boolean;
}

export interface ContenderResult {
  name: string;
  role: Contender["role"];
  /** Absent when it did not run; then `absent` says why. */
  figures?: Figures;
  absent?: string;
  /** It ought to have run. */
  failed?: boolean;
  rounds: Measurement[];
}

export interface RowResult {
  id: string;
  title: string;
  unit: string;
  figure: Figure;
  reach?: Reach;
  /** Whether connmix reached what it is to reach; absent without such a goal or without figures. */
  reached?: boolean;
  /** Peers with a better figure than connmix. */
  ahead: string[];
  contenders: ContenderResult[];
}

export interface Report {
  date: string;
  machine: { cpu: string; cores: number; kernel: string; bun: string };
  quick: boolean;
  rounds: number;
  secondsPerRound: number;
  rows: RowResult[];
}

const BUSY = 0.9;

/** The figure a row is judged by. Smaller is better, unless `moreIsBetter`. */
export function value(
  figure: Figure,
  measured: Pick<Figures, "cpuMicros" | "perSecond" | "capacity" | "p50" | "bytesPerConnection">,
): number {
  switch (figure) {
    case "cpu":
      return measured.cpuMicros;
    case "throughput":
      return measured.perSecond;
    case "capacity":
      return measured.capacity;
    case "latency":
      return measured.p50;
    case "memory":
      return measured.bytesPerConnection ?? Number.NaN;
  }
}

function moreIsBetter(figure: Figure): boolean {
  return figure === "throughput" || figure === "capacity";
}

function serverCpu({ serverCpuSeconds }: Measurement): number {
  return serverCpuSeconds.reduce((sum, used) => sum + used, 0);
}

function single(round: Measurement) {
  return {
    cpuMicros: (serverCpu(round) / round.messages) * 1e6,
    perSecond: round.messages / round.seconds,
    capacity: round.messages / Math.max(...round.serverCpuSeconds),
    p50: round.p50,
    bytesPerConnection: round.bytesPerConnection,
  };
}

/** Medians of one contender's rounds, compared round by round with the first contender's. */
export function figures(
  figure: Figure,
  rounds: readonly Measurement[],
  first: readonly Measurement[],
): Figures | undefined {
  if (rounds.length === 0) return undefined;
  const of = (pick: (round: Measurement) => number) => median(rounds.map(pick));
  const memory = of((round) => round.bytesPerConnection ?? Number.NaN);
  return {
    cpuMicros: of((round) => single(round).cpuMicros),
    perSecond: of((round) => single(round).perSecond),
    capacity: of((round) => single(round).capacity),
    p50: of((round) => round.p50),
    p99: of((round) => round.p99),
    ...(Number.isNaN(memory) ? {} : { bytesPerConnection: memory }),
    ratio: median(
      rounds.flatMap((round, i) =>
        first[i] === undefined ? [] : [value(figure, single(round)) / value(figure, single(first[i]))],
      ),
    ),
    clientBound:
      of((round) => round.clientCpuSeconds / round.seconds) > BUSY &&
      of((round) => serverCpu(round) / round.seconds) < BUSY,
  };
}

/** Whether `figures` are within `reach` loosened by `slack` (1: as it is). */
export function within(reach: Reach, figure: Figure, measured: Figures, slack = 1): boolean {
  if ("ratioAtMost" in reach) return measured.ratio <= reach.ratioAtMost * slack;
  if ("ratioAtLeast" in reach) return measured.ratio >= reach.ratioAtLeast / slack;
  return value(figure, measured) <= reach.atMost * slack;
}

/** connmix's own contenders that `reach` is about: all but the one the others are compared with. */
export function judged(row: Pick<RowResult, "contenders">): Figures[] {
  return row.contenders.flatMap(({ role, figures }, i) =>
    role === "connmix" && i > 0 && figures !== undefined ? [figures] : [],
  );
}

export function rowResult(row: Row, contenders: ContenderResult[]): RowResult {
  const { id, title, unit, figure, reach } = row;
  const ours = judged({ contenders });
  const worst = Math.max(...ours.map((measured) => value(figure, measured)));
  const ahead = contenders.filter(({ role, figures }) => {
    if (role !== "peer" || figures === undefined || ours.length === 0) return false;
    return moreIsBetter(figure) ? value(figure, figures) > worst : value(figure, figures) < worst;
  });
  return {
    id,
    title,
    unit,
    figure,
    ...(reach === undefined ? {} : { reach }),
    ...(reach === undefined || ours.length === 0
      ? {}
      : { reached: ours.every((measured) => within(reach, figure, measured)) }),
    ahead: ahead.map(({ name }) => name),
    contenders,
  };
}
