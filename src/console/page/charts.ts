import uPlot from "uplot";
import { element } from "./dom.ts";

const SECONDS = 120;
const HEIGHT = 120;
/** Steps of the vertical axis: what is counted comes in whole numbers. */
const STEPS = Array.from({ length: 12 }, (_, i) => [1, 2, 5].map((step) => step * 10 ** i)).flat();

/** Looked up at each drawing, so that a change between light and dark shows. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

/** A chart of the last two minutes; each call of `add` is one second's values. */
export class LiveChart {
  readonly #columns: number[][];
  readonly #plot: uPlot;
  readonly #host: HTMLElement;

  constructor(id: string, colours: string[]) {
    this.#host = element(id);
    this.#columns = Array.from({ length: colours.length + 1 }, () => []);
    const grid = { stroke: () => colour("--line"), width: 1 };
    const axis = { stroke: () => colour("--soft"), grid, ticks: grid };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 6, 0, 0],
        scales: {
          x: { range: (_plot, _first, last) => [last - SECONDS, last] },
          y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] },
        },
        axes: [
          { ...axis, size: 26, incrs: [60], values: (_plot, times) => times.map(clock) },
          { ...axis, size: 44, space: 30, incrs: STEPS, values: (_plot, values) => values.map(compact) },
        ],
        series: [{}, ...colours.map((name) => ({ stroke: () => colour(name), width: 2, points: { show: false } }))],
      },
      this.#columns as uPlot.AlignedData,
      this.#host,
    );
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(this.#host);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  add(time: number, values: number[]): void {
    for (const [i, value] of [time, ...values].entries()) {
      const column = this.#columns[i]!;
      column.push(value);
      if (column.length > SECONDS + 1) column.shift();
    }
    this.#plot.setData(this.#columns as uPlot.AlignedData);
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(160, this.#host.clientWidth), height: HEIGHT };
  }
}

function clock(time: number): string {
  return new Date(time * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

function compact(value: number): string {
  return new Intl.NumberFormat("en", { notation: "compact" }).format(value);
}
