import type { ApiStats } from "../api/sessions.ts";
import type { TopicStats } from "../hub/queue.ts";
import type { Counts } from "../hub/topic-counts.ts";
import type { CallbackStats, ScriptStats } from "../lua/script.ts";
import type { MeshStats } from "../mesh/mesh.ts";
import type { PeerStats } from "../mesh/peer-stats.ts";
import type { RegistryState, RegistryStats } from "../registry/registry.ts";
import type { PortStats } from "../server/port.ts";
import { type Durations, MetricSet, type Sample } from "./metric-set.ts";

/** Topics with a label of their own; what is beyond goes under `other`, so that a script cannot make labels without end. */
const MAX_TOPICS = 200;

export interface PortSource {
  readonly protocol: string;
  readonly clients: number;
  readonly stats: Readonly<PortStats>;
}

/** What concerns all topics together. */
export interface QueuesSource {
  /** Messages refused because `maxTopics` were in use already. */
  readonly topicsRefused: number;
  readonly waitingBytes: number;
  readonly maxBytes: number;
}

/** Where the numbers come from; everything is read when the metrics are scraped. */
export interface EngineSources {
  version: string;
  ports(): readonly PortSource[];
  /** How long sends took; labels `protocol` and `scenario` (`local`, `forward`). */
  sendDurations(): readonly Durations[];
  channels(): number;
  topics(): ReadonlyMap<string, TopicStats>;
  /** Of topics that messages were pushed to, those forgotten since included; boundedly many. */
  topicCounts(): Iterable<readonly [topic: string, Counts]>;
  queues(): QueuesSource;
  /** `entry` is the script's path as configured. */
  scripts(): readonly { entry: string; stats: ScriptStats }[];
  mesh(): MeshStats;
  registry(): { state: RegistryState; stats: Readonly<RegistryStats> };
  api(): ApiStats;
}

/** The metrics of an engine. */
export function createEngineMetrics(sources: EngineSources): MetricSet {
  const metrics = new MetricSet(sources.version);
  addServers(metrics, sources);
  addQueues(metrics, sources);
  addScripts(metrics, sources);
  addMesh(metrics, sources);
  addRegistry(metrics, sources);
  addApi(metrics, sources);
  return metrics;
}

function addServers(metrics: MetricSet, { ports, sendDurations, channels, mesh }: EngineSources): void {
  const byProtocol = (name: string, help: string, field: keyof PortStats) =>
    metrics.counter(`connmix_engine_servers_${name}_total`, help, ["protocol"], () =>
      ports().map(({ protocol, stats }): Sample => [stats[field], { protocol }]),
    );
  metrics.gauge("connmix_engine_servers_clients", "Connected clients", [], () =>
    ports().map(({ clients }): Sample => [clients]),
  );
  byProtocol("read_messages", "Messages received from clients", "readMessages");
  byProtocol("send_messages", "Messages sent to clients", "sentMessages");
  byProtocol("send_errors", "Messages that could not be sent", "sendErrors");
  byProtocol("accepted", "Clients accepted", "accepted");
  byProtocol("refused", "Clients turned away because maxConnections were open", "refused");
  byProtocol("too_large", "Clients closed for a message larger than readBufferSize", "tooLarge");
  byProtocol("protocol_errors", "Clients closed for breaking the protocol", "protocolErrors");
  byProtocol("slow_clients", "Clients closed for reading too slowly", "slowClients");
  byProtocol("read_timeouts", "Clients closed after readTimeout without bytes", "readTimeouts");
  metrics.summary(
    "connmix_engine_servers_send_duration_seconds",
    "How long sends to clients took",
    ["protocol", "scenario"],
    sendDurations,
  );
  metrics.counter(
    "connmix_engine_publishes_total",
    "Publishes asked of this engine by scripts and API clients",
    [],
    () => [[mesh().publishes]],
  );
  metrics.gauge("connmix_engine_channels", "Channels with subscribers on this engine", [], () => [[channels()]]);
}

function addQueues(metrics: MetricSet, { topics, topicCounts, queues }: EngineSources): void {
  const gauge = (name: string, help: string, field: "depth" | "size" | "consumers") =>
    metrics.gauge(`connmix_engine_queue_${name}`, help, ["topic"], () =>
      [...topics()].map(
        ([topic, stats], index): Sample => [stats[field], { topic: index < MAX_TOPICS ? topic : "other" }],
      ),
    );
  const counter = (name: string, help: string, field: keyof Counts) =>
    metrics.counter(`connmix_engine_queue_${name}_total`, help, ["topic"], () =>
      Array.from(topicCounts(), ([topic, counts]): Sample => [counts[field], { topic }]),
    );
  gauge("depth", "Messages that wait in the topic", "depth");
  gauge("size", "Messages that may wait in the topic", "size");
  gauge("consumers", "Consumers of the topic", "consumers");
  counter("pushed", "Messages pushed by scripts", "pushed");
  counter("popped", "Messages handed to consumers", "popped");
  counter("rejected", "Messages refused because the topic was full", "rejected");
  metrics.counter("connmix_engine_queue_topics_refused_total", "Messages refused for one topic too many", [], () => [
    [queues().topicsRefused],
  ]);
  metrics.gauge("connmix_engine_queue_waiting_bytes", "Bytes that wait in all topics together", [], () => [
    [queues().waitingBytes],
  ]);
  metrics.gauge("connmix_engine_queue_max_bytes", "Bytes that may wait in all topics together", [], () => [
    [queues().maxBytes],
  ]);
}

function addScripts(metrics: MetricSet, { scripts }: EngineSources): void {
  const byCallback = (name: string, help: string, field: keyof CallbackStats) =>
    metrics.counter(`connmix_engine_lua_${name}_total`, help, ["entry", "callback"], () =>
      scripts().flatMap(({ entry, stats }) =>
        Object.entries(stats.callbacks).map(([callback, counts]): Sample => [counts[field], { entry, callback }]),
      ),
    );
  const byEntry = (read: (stats: ScriptStats) => number) => () =>
    scripts().map(({ entry, stats }): Sample => [read(stats), { entry }]);
  byCallback("callbacks", "Callbacks run", "count");
  byCallback("callback_seconds", "Time spent in callbacks", "seconds");
  byCallback("errors", "Callbacks that ended with an error", "errors");
  byCallback("timeouts", "Callbacks stopped after maxExecTime, or for the memory they filled", "timeouts");
  metrics.counter(
    "connmix_engine_lua_reloads_total",
    "Scripts loaded anew after an edit",
    ["entry"],
    byEntry((stats) => stats.reloads),
  );
  metrics.counter(
    "connmix_engine_lua_reload_errors_total",
    "Edits that did not load; the code before them goes on",
    ["entry"],
    byEntry((stats) => stats.reloadErrors),
  );
  metrics.gauge(
    "connmix_engine_lua_last_reload_failed",
    "1 while the last edit did not load; the log has the error",
    ["entry"],
    byEntry((stats) => (stats.lastReloadError === "" ? 0 : 1)),
  );
  metrics.counter(
    "connmix_engine_lua_mailbox_overflows_total",
    "Clients closed because too many of their messages waited for the script",
    ["entry"],
    byEntry((stats) => stats.mailboxOverflows),
  );
  metrics.gauge(
    "connmix_engine_lua_suspended",
    "Callbacks that wait for something",
    ["entry"],
    byEntry((stats) => stats.suspended),
  );
}

function addMesh(metrics: MetricSet, { mesh }: EngineSources): void {
  const byPeer = (read: (peer: PeerStats) => number) => () =>
    mesh().peers.map((peer): Sample => [read(peer), { peer: peer.id }]);
  const exchanged = (inward: (peer: PeerStats) => number, outward: (peer: PeerStats) => number) => () =>
    mesh().peers.flatMap((peer): Sample[] => [
      [inward(peer), { peer: peer.id, direction: "in" }],
      [outward(peer), { peer: peer.id, direction: "out" }],
    ]);
  metrics.gauge("connmix_engine_mesh_links", "Open links to other engines", [], () => [[mesh().links]]);
  metrics.counter(
    "connmix_engine_mesh_handshakes_failed_total",
    "Links refused or lost before they were trusted",
    [],
    () => [[mesh().handshakesFailed]],
  );
  metrics.counter(
    "connmix_engine_mesh_frames_total",
    "Frames exchanged with another engine",
    ["peer", "direction"],
    exchanged(
      (peer) => peer.framesIn,
      (peer) => peer.framesOut,
    ),
  );
  metrics.counter(
    "connmix_engine_mesh_bytes_total",
    "Bytes exchanged with another engine",
    ["peer", "direction"],
    exchanged(
      (peer) => peer.bytesIn,
      (peer) => peer.bytesOut,
    ),
  );
  metrics.gauge(
    "connmix_engine_mesh_round_trip_seconds",
    "Round trip to another engine",
    ["peer"],
    () => mesh().peers.flatMap(({ id, rtt }): Sample[] => (rtt === undefined ? [] : [[rtt / 1000, { peer: id }]])),
    "average",
  );
  metrics.gauge(
    "connmix_engine_mesh_waiting_bytes",
    "Bytes another engine has not taken yet",
    ["peer"],
    byPeer((peer) => peer.waitingBytes),
  );
  metrics.counter(
    "connmix_engine_mesh_requests_total",
    "Requests to another engine",
    ["peer"],
    byPeer((peer) => peer.requests),
  );
  metrics.counter(
    "connmix_engine_mesh_requests_failed_total",
    "Requests another engine did not answer",
    ["peer"],
    byPeer((peer) => peer.requestsFailed),
  );
  metrics.counter(
    "connmix_engine_mesh_dropped_total",
    "Requests refused because too much waits for the other engine",
    ["peer"],
    byPeer((peer) => peer.dropped),
  );
  metrics.counter(
    "connmix_engine_mesh_queue_lost_total",
    "Queued messages handed to an engine that died without having confirmed them",
    [],
    () => [[mesh().queueLost]],
  );
  metrics.gauge(
    "connmix_engine_mesh_queue_held",
    "Messages of other engines held for consumers that do not read",
    [],
    () => [[mesh().queueHeld]],
  );
}

const STATES: readonly RegistryState[] = ["joining", "joined", "away", "left"];

function addRegistry(metrics: MetricSet, { registry }: EngineSources): void {
  metrics.gauge("connmix_engine_registry_state", "1 for the state the registration is in", ["state"], () => {
    const current = registry().state;
    return STATES.map((state): Sample => [state === current ? 1 : 0, { state }]);
  });
  metrics.counter("connmix_engine_registry_renewals_total", "Renewals of the registration", [], () => [
    [registry().stats.renewals],
  ]);
  metrics.counter("connmix_engine_registry_failures_total", "Renewals and connections that failed", [], () => [
    [registry().stats.failures],
  ]);
}

function addApi(metrics: MetricSet, { api }: EngineSources): void {
  metrics.gauge("connmix_engine_api_clients", "Connections to the WebSocket API", [], () => [[api().clients]]);
  metrics.counter("connmix_engine_api_requests_total", "Requests on the WebSocket API", [], () => [[api().requests]]);
  metrics.counter(
    "connmix_engine_api_refused_total",
    "HTTP requests and upgrades refused for lack of access",
    [],
    () => [[api().refused]],
  );
  metrics.counter("connmix_engine_api_slow_clients_total", "API connections closed for reading too slowly", [], () => [
    [api().slowClients],
  ]);
  metrics.counter(
    "connmix_engine_api_read_timeouts_total",
    "API connections closed after readTimeout without bytes",
    [],
    () => [[api().readTimeouts]],
  );
}
