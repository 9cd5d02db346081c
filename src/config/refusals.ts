import type { z } from "zod";

interface Listening {
  port: number;
  bind: string;
}

/** Of entries that are found by `key`, a second one would silently take the place of the first. */
export function refuseRepeated<Entry>(entries: Entry[], key: keyof Entry & string, context: z.RefinementCtx): void {
  const seen = new Set<unknown>();
  for (const [index, entry] of entries.entries()) {
    if (seen.has(entry[key])) {
      context.addIssue({ code: "custom", path: [index, key], message: `a ${key} that no entry before it has` });
    }
    seen.add(entry[key]);
  }
}

/** Two servers of an engine on one port: with `-p N` the system would let them share it, and mix up their clients. */
export function refuseSharedPorts(
  engine: { meshPoint: Listening; apiServer: Listening; servers: Listening[] },
  context: z.RefinementCtx,
): void {
  const listening = [
    { ...engine.meshPoint, name: "engine.meshPoint.port", path: ["meshPoint", "port"] },
    { ...engine.apiServer, name: "engine.apiServer.port", path: ["apiServer", "port"] },
    ...engine.servers.map((server, index) => ({
      ...server,
      name: `engine.servers[${index}].port`,
      path: ["servers", index, "port"],
    })),
  ];
  for (const [index, { port, bind, path }] of listening.entries()) {
    const other = listening.slice(0, index).find((before) => before.port === port && overlap(before.bind, bind));
    if (port === 0 || other === undefined) continue;
    context.addIssue({ code: "custom", path, message: `a port of its own: ${other.name} is ${port}, too` });
  }
}

function overlap(a: string, b: string): boolean {
  return a === b || [a, b].some((bind) => bind === "0.0.0.0" || bind === "::");
}
