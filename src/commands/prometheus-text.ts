export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a Prometheus text exposition (version 0.0.4); lines that are none are passed over. */
export function parseSamples(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match === null) continue;
    const [, name = "", labelText = "", value] = match;
    const labels: Record<string, string> = {};
    for (const [, label = "", quoted = ""] of labelText.matchAll(LABEL)) {
      labels[label] = quoted.replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
    }
    samples.push({ name, labels, value: Number(value) });
  }
  return samples;
}
