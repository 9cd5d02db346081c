import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "../../scripts/bench/result.ts";

const BENCH = join(import.meta.dir, "../../scripts/bench/main.ts");

async function bench(...args: string[]) {
  const child = Bun.spawn([process.execPath, BENCH, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { output, errors, code };
}

test("a quick run measures every row, and no ratio is wildly off", async () => {
  const folder = await mkdtemp(join(tmpdir(), "bench-quick-"));
  try {
    const json = join(folder, "bench.json");
    const svg = join(folder, "bench.svg");
    const { output, errors, code } = await bench("--quick", "--json", json, "--svg", svg);
    expect(errors).toBe("");
    expect(code).toBe(0);

    const report: Report = await Bun.file(json).json();
    const listed = (await bench("--quick", "--list")).output.trim().split("\n");
    expect(report.rows.length).toBe(listed.length);
    for (const row of report.rows) {
      expect(output).toContain(row.title);
      expect(row.contenders.length).toBeGreaterThan(1);
      for (const { figures } of row.contenders) {
        expect(figures?.ratio).toBeGreaterThan(0);
        expect(figures?.perSecond).toBeGreaterThan(0);
      }
    }
    expect(await Bun.file(svg).text()).toStartWith("<svg ");
  } finally {
    await rm(folder, { recursive: true });
  }
}, 180_000);

test("a row that does not exist is named, with those that do", async () => {
  const { errors, output, code } = await bench("--only", "echo-1,nonsense");
  expect(code).toBe(1);
  expect(errors + output).toContain("no such row: nonsense");
  expect(errors + output).toContain("echo-16");
});
