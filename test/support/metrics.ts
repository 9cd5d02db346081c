/** Sums every sample of a metric in Prometheus text, of those whose labels contain `labels`. */
export function metric(text: string, name: string, labels = ""): number {
  let sum = 0;
  let seen = false;
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)$/.exec(line);
    if (match === null || match[1] !== name || !(match[2] ?? "").includes(labels)) continue;
    seen = true;
    sum += Number(match[3]);
  }
  if (!seen) throw new Error(`no metric ${name}{${labels}} in:\n${text}`);
  return sum;
}

export async function scrape(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}
