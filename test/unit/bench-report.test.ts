import { describe, expect, test } from "bun:test";
import { chart } from "../../scripts/bench/chart.ts";
import type { Measurement } from "../../scripts/bench/load/load.ts";
import { type ContenderResult, figures, type Report, rowResult, within } from "../../scripts/bench/result.ts";
import type { Contender, Figure, Reach, Row } from "../../scripts/bench/row.ts";
import { allRows } from "../../scripts/bench/rows.ts";
import { table } from "../../scripts/bench/table.ts";

/** A second in which the server used `micros` of CPU for each of a thousand messages. */
function round(micros: number, over: Partial<Measurement> = {}): Measurement {
  return {
    messages: 1000,
    seconds: 1,
    serverCpuSeconds: [micros / 1000],
    clientCpuSeconds: 0.1,
    p50: 100,
    p99: 900,
    ...over,
  };
}

function result(
  name: string,
  role: Contender["role"],
  figure: Figure,
  rounds: Measurement[],
  first = rounds,
): ContenderResult {
  return { name, role, figures: figures(figure, rounds, first)!, rounds };
}

function row(figure: Figure, reach?: Reach): Row {
  return { id: "echo", title: "echo <&>", unit: "message", figure, ...(reach && { reach }), contenders: [] };
}

describe("figures", () => {
  test("are medians, and the ratio is that of rounds that ran side by side", () => {
    const first = [round(10), round(20), round(40)];
    const measured = figures("cpu", [round(15), round(30), round(80)], first)!;
    expect(measured.cpuMicros).toBeCloseTo(30);
    expect(measured.ratio).toBeCloseTo(1.5);
    expect(measured.perSecond).toBe(1000);
  });

  test("say when the client had no more to give and the server had", () => {
    const busy = { clientCpuSeconds: 0.97 };
    expect(figures("cpu", [round(500, busy)], [])!.clientBound).toBe(true);
    expect(figures("cpu", [round(980, busy)], [])!.clientBound).toBe(false);
    expect(figures("cpu", [round(980)], [])!.clientBound).toBe(false);
  });

  test("of several processes are about all of them, but for capacity, which the busiest one limits", () => {
    const first = [round(10)];
    const two = round(0, { serverCpuSeconds: [0.004, 0.006, 0] });
    expect(figures("cpu", [two], first)!.ratio).toBeCloseTo(1);
    const { capacity, ratio } = figures("capacity", [two], first)!;
    expect(capacity).toBeCloseTo(1000 / 0.006);
    expect(ratio).toBeCloseTo(10 / 6);
  });

  test("of nothing are nothing", () => {
    expect(figures("cpu", [], [])).toBeUndefined();
  });
});

describe("within", () => {
  const measured = figures(
    "memory",
    [round(15, { bytesPerConnection: 4000 })],
    [round(10, { bytesPerConnection: 2000 })],
  )!;

  test.each<[Reach, number, boolean]>([
    [{ ratioAtMost: 2 }, 1, true],
    [{ ratioAtMost: 1.9 }, 1, false],
    [{ ratioAtMost: 1.9 }, 3, true],
    [{ ratioAtLeast: 2.1 }, 1, false],
    [{ ratioAtLeast: 2.1 }, 3, true],
    [{ atMost: 4096 }, 1, true],
    [{ atMost: 3999 }, 1, false],
  ])("%j loosened %i times: %j", (reach, slack, expected) => {
    expect(within(reach, "memory", measured, slack)).toBe(expected);
  });
});

describe("rowResult", () => {
  const first = [round(10)];

  test("is judged by every contender of ours but the one compared with", () => {
    const contenders = [
      result("1 engine", "connmix", "cpu", first),
      result("2 engines", "connmix", "cpu", [round(10.5)], first),
      result("4 engines", "connmix", "cpu", [round(12)], first),
    ];
    expect(rowResult(row("cpu", { ratioAtMost: 1.1 }), contenders).reached).toBe(false);
    expect(rowResult(row("cpu", { ratioAtMost: 1.1 }), contenders.slice(0, 2)).reached).toBe(true);
    expect(rowResult(row("cpu", { ratioAtMost: 1.1 }), contenders.slice(0, 1)).reached).toBeUndefined();
  });

  test("names the peers that are ahead: less CPU, or more a second", () => {
    const quick = { messages: 2000 };
    const peers = (figure: Figure) => [
      result("control", "control", figure, first),
      result("connmix", "connmix", figure, [round(14)], first),
      result("slow", "peer", figure, [round(20)], first),
      result("quick", "peer", figure, [round(13, quick)], first),
    ];
    expect(rowResult(row("cpu"), peers("cpu")).ahead).toEqual(["quick"]);
    expect(rowResult(row("throughput"), peers("throughput")).ahead).toEqual(["quick"]);
  });
});

test("rows have ids of their own, and titles and names that fit the chart", () => {
  const rows = allRows(10_000);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  for (const { title, contenders } of rows) {
    expect(title.length).toBeLessThanOrEqual(60);
    expect(new Set(contenders.map(({ name }) => name)).size).toBe(contenders.length);
    for (const { name } of contenders) expect(name.length).toBeLessThanOrEqual(26);
  }
});

describe("the report", () => {
  const first = [round(10)];
  const report: Report = {
    date: "2024-02-03T04:05:06.000Z",
    machine: { cpu: "Testor", cores: 2, kernel: "6.1", bun: "1.4.5" },
    quick: false,
    rounds: 1,
    secondsPerRound: 1,
    rows: [
      rowResult(row("cpu", { ratioAtMost: 1.6 }), [
        result("bare", "control", "cpu", first),
        result("connmix", "connmix", "cpu", [round(14)], first),
        { name: "ws", role: "peer", absent: "not installed", rounds: [] },
        { name: "broken", role: "peer", absent: "it said\nthis and that", failed: true, rounds: [] },
      ]),
    ],
  };

  test("as a table has a line for each contender, also for those that did not run", () => {
    const lines = table(report).split("\n");
    expect(lines.find((line) => line.startsWith("echo:"))).toContain("to reach ≤ 1.6×: reached");
    expect(lines.find((line) => line.includes("connmix  "))).toMatch(/14\.0 µs +1\.40× +1,000 +100 µs +900 µs$/);
    expect(lines.find((line) => line.includes("ws "))).toEndWith("not installed");
    expect(lines.find((line) => line.includes("broken"))).toEndWith("failed");
  });

  test("as a chart is well-formed SVG with a bar for each contender that ran", () => {
    const svg = chart(report);
    let bars = 0;
    const titles: string[] = [];
    // Two bars, and the title's own characters escaped.
    new HTMLRewriter()
      .on("rect", { element: () => void bars++ })
      .on("text.title", { text: ({ text }) => void (text && titles.push(text)) })
      .transform(svg);
    expect(bars).toBe(2);
    expect(titles.join("")).toBe("echo &lt;&amp;&gt;");
    expect(svg).toContain("prefers-color-scheme: dark");
  });
});
