import uPlot from "uplot";
import { element } from "./dom.ts";

const SECONDS = 120;

/** A chart of the last two minutes; each call of `add` is one second's values. */
export class LiveChart {
  readonly #columns: (number | null)[][];
  readonly #plot: uPlot;
  readonly #host: HTMLElement;

  constructor(id: string, colours: string[]) {
    this.#host = element(id);
    this.#columns = Array.from({ length: colours.length + 1 }, () => []);
    const style = getComputedStyle(document.documentElement);
    const soft = style.getPropertyValue("--soft");
    const grid = { stroke: style.getPropertyValue("--line"), width: 1 };
    this.#plot = new uPlot(
      {
        ...this.#size(),
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
        axes: [
          { stroke: soft, grid, ticks: grid, space: 70, values: (_plot, times) => times.map(clock) },
          { stroke: soft, grid, ticks: grid, size: 46, values: (_plot, values) => values.map(compact) },
        ],
        series: [
          {},
          ...colours.map((name) => ({ stroke: style.getPropertyValue(name), width: 2, points: { show: false } })),
        ],
      },
      this.#columns as uPlot.AlignedData,
      this.#host,
    );
    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(this.#host);
  }

  add(time: number, values: (number | null)[]): void {
    for (const [i, value] of [time, ...values].entries()) {
      const column = this.#columns[i]!;
      column.push(value);
      if (column.length > SECONDS) column.shift();
    }
    this.#plot.setData(this.#columns as uPlot.AlignedData);
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(160, this.#host.clientWidth), height: 130 };
  }
}

function clock(time: number): string {
  return new Date(time * 1000).toLocaleTimeString("en-GB", { minute: "2-digit", second: "2-digit" });
}

function compact(value: number): string {
  return new Intl.NumberFormat("en", { notation: "compact" }).format(value);
}
