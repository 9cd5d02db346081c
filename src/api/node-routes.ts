import type { NodeRecord } from "../registry/registry.ts";
import { httpError, jsonResponse, type Route } from "./http.ts";

/** What any node, center or engine, tells about itself. */
export interface NodeStatus {
  version: string;
  /** Every engine known now, this one included. */
  nodes(): NodeRecord[];
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** Why the node cannot serve now; undefined when it can. */
  ready(): string | undefined;
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A node as client libraries read it from `/v1/nodes`. */
export function nodeJson(node: NodeRecord) {
  return {
    id: node.id,
    number: node.number,
    api_server: hostPort(node.host, node.apiPort),
    mesh_point: hostPort(node.host, node.meshPort),
    version: node.version,
    /** Seconds since 1970. */
    started_at: Math.floor(node.startedAt / 1000),
    servers: node.servers,
    /** Clients, channels and message counts at the last renewal; absent until the first. */
    load: node.load,
  };
}

/**
 * The routes center and engines share. The probes answer without credentials, since what asks them (Kubernetes, load balancers)
 * has none; they tell no more than the reason for not being ready.
 */
export function nodeRoutes(status: NodeStatus): Route[] {
  const version = JSON.stringify({ version: status.version, apis: ["v1"] });
  return [
    { path: "/version", method: "GET", role: "read", handle: () => jsonResponse(version) },
    {
      path: "/v1/nodes",
      method: "GET",
      role: "read",
      handle: () => jsonResponse(JSON.stringify({ nodes: status.nodes().map(nodeJson) })),
    },
    {
      path: "/metrics",
      method: "GET",
      role: "read",
      handle: async () =>
        new Response(await status.metrics(), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        }),
    },
    { path: "/healthz", method: "GET", role: "open", handle: () => jsonResponse('{"status":"ok"}') },
    {
      path: "/readyz",
      method: "GET",
      role: "open",
      handle() {
        const reason = status.ready();
        return reason === undefined ? jsonResponse('{"status":"ready"}') : httpError(503, reason);
      },
    },
  ];
}
