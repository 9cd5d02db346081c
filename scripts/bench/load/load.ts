/** Where connections go and what they say first. In `path` and `hello`, `{i}` is the connection's number and `{room}` that number ÷ 10. */
export interface Target {
  port: number;
  protocol: "websocket" | "lines";
  path?: string;
  /** What is sent before the load begins, each when the server has sent that many messages. */
  hello?: { after: number; message: string }[];
  /** Messages from the server (greetings, answers to `hello`) until the connection counts as ready. */
  greetings?: number;
}

/** Connections that each keep `inFlight` messages under way, and send the next one when a reply comes. */
export interface EchoLoad {
  kind: "echo";
  targets: Target[];
  connections: number;
  inFlight: number;
  message: string;
  /** Milliseconds between two turns in which every connection sends what it may; absent: as soon as it may, as fast as the server can. */
  pace?: number;
  /** Only messages of at most this many bytes are replies; others (a room's publishes) are passed over. */
  longestReply?: number;
}

/** Subscribers, and a publisher that keeps `inFlight` publishes under way; a message is one delivery to one subscriber. */
export interface FanoutLoad {
  kind: "fanout";
  targets: Target[];
  subscribers: number;
  publisher: Target;
  publish: string;
  inFlight: number;
}

/** Clients that tell their id in their last greeting, and a sender that keeps `inFlight` requests to them under way. */
export interface SendLoad {
  kind: "send";
  targets: Target[];
  clients: number;
  sender: Target;
  /** The request; `{id}` is the client's id. */
  request: string;
  /** Finds the id in a client's last greeting, as its first group; the whole greeting when absent. */
  idPattern?: string;
  inFlight: number;
}

/** Clients that send, and one consumer that receives it all; `inFlight` messages are under way. */
export interface RelayLoad {
  kind: "relay";
  targets: Target[];
  clients: number;
  consumer: Target;
  message: string;
  inFlight: number;
}

/** Connections opened and closed again, `atOnce` at a time; a message is one of them. */
export interface ConnectLoad {
  kind: "connect";
  targets: Target[];
  atOnce: number;
}

/** Idle connections; measures the server's memory for each. */
export interface HoldLoad {
  kind: "hold";
  targets: Target[];
  connections: number;
}

export type Load = EchoLoad | FanoutLoad | SendLoad | RelayLoad | ConnectLoad | HoldLoad;

/** What a load process is told: its load, and whose CPU and memory to read. */
export interface Assignment {
  load: Load;
  /** The server's processes. */
  pids: number[];
  warmup: Warmup;
  seconds: number;
}

/** What runs before the measuring. */
export interface Warmup {
  seconds: number;
  /** It goes on until there were as many for each of the server's processes: code is compiled by how often it ran, however slow the machine. */
  messages: number;
}

/** What a load process answers. */
export interface Measurement {
  messages: number;
  seconds: number;
  /** User and system time of each of the server's processes. */
  serverCpuSeconds: number[];
  /** User and system time of the load process. */
  clientCpuSeconds: number;
  /** Microseconds; 0 where a load has no latency. */
  p50: number;
  p99: number;
  /** Growth of the server's resident memory for each connection, for the load that holds connections. */
  bytesPerConnection?: number;
}
