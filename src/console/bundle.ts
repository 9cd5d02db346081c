import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The page, and what a content security policy calls its one script and its one style sheet. */
export interface Page {
  html: string;
  scriptHash: string;
  styleHash: string;
}

/**
 * Builds the console into one HTML text: script, styles and the chart library inline. Runs as a macro, so the executable
 * carries the finished page and a checkout makes it when the page is first asked for.
 */
export function bundlePage(): Page {
  const folder = join(import.meta.dir, "page");
  const build = Bun.spawnSync([process.execPath, "build", join(folder, "main.ts"), "--target=browser", "--minify"]);
  if (build.exitCode !== 0) throw new Error(`the console does not build:\n${build.stderr}`);
  const script = build.stdout.toString().replaceAll("</script", "<\\/script");
  const chartStyle = readFileSync(join(folder, "../../../node_modules/uplot/dist/uPlot.min.css"), "utf8");
  const style = chartStyle + readFileSync(join(folder, "console.css"), "utf8");
  const html = readFileSync(join(folder, "index.html"), "utf8")
    .replace("<!-- style -->", () => `<style>${style}</style>`)
    .replace("<!-- script -->", () => `<script type="module">${script}</script>`);
  return { html, scriptHash: hashOf(script), styleHash: hashOf(style) };
}

/** CSP Level 3, section 2.3.1. */
function hashOf(text: string): string {
  return `'sha256-${new Bun.CryptoHasher("sha256").update(text).digest("base64")}'`;
}
