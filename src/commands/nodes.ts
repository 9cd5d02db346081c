import { defineCommand } from "citty";
import type { nodeJson } from "../api/node-routes.ts";
import { Api, apiArguments } from "./api.ts";
import { columns, print } from "./output.ts";

/** An engine as `/v1/nodes` tells of it. */
export type ListedNode = ReturnType<typeof nodeJson>;

export const nodes = defineCommand({
  meta: { name: "nodes", description: "List the engines of the cluster" },
  args: {
    json: { type: "boolean", description: "print one JSON object a line" },
    ...apiArguments,
  },
  async run({ args }) {
    const listed = await listNodes(new Api(args));
    if (args.json) return print(listed.map((node) => JSON.stringify(node)).join("\n"));
    const rows = listed.map((node) => [
      node.id,
      String(node.number),
      node.api_server,
      node.servers.map(({ protocol, port }) => `${protocol}:${port}`).join(","),
      node.version,
      duration(Date.now() / 1000 - node.started_at),
    ]);
    const lines = columns([["NODE", "NUMBER", "API", "SERVERS", "VERSION", "UP"], ...rows], [1, 5]);
    await print(lines.join("\n"));
  },
});

/** The engines now, by id. */
export async function listNodes(api: Api): Promise<ListedNode[]> {
  const { nodes } = (await (await api.get("/v1/nodes")).json()) as { nodes: ListedNode[] };
  return nodes.toSorted((a, b) => a.number - b.number);
}

/** Seconds in the two largest units: `3d4h`, `5m12s`, `8s`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const units: [string, number][] = [
    ["d", Math.floor(whole / 86_400)],
    ["h", Math.floor(whole / 3_600) % 24],
    ["m", Math.floor(whole / 60) % 60],
    ["s", whole % 60],
  ];
  const first = units.findIndex(([, amount]) => amount > 0);
  if (first < 0) return "0s";
  return units
    .slice(first, first + 2)
    .filter(([, amount]) => amount > 0)
    .map(([unit, amount]) => `${amount}${unit}`)
    .join("");
}
