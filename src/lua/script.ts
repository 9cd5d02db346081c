import type { Connection, Payload } from "../hub/connection.ts";
import type { ScriptHost } from "./host.ts";
import type { StreamBuffer } from "./stream-buffer.ts";

/** What `on_handshake` is told about the upgrade request. */
export interface Handshake {
  /** Header names as received (lower case under Bun) and their values. */
  headers: Record<string, string>;
  method: string;
  requestUri: string;
  serverProtocol: string;
  host: string;
  remoteAddr: string;
}

/** A connection whose protocol the script defines: `buffer` holds the bytes that have arrived and are not consumed yet. */
export interface StreamConnection extends Connection {
  readonly buffer: StreamBuffer;
  /** Stops and restarts reading from the client, while a callback of this connection waits. */
  pauseReading(): void;
  resumeReading(): void;
  /** Counts a packet that the script found in the buffer. */
  packetRead(): void;
  /** Closes the connection with 1009 when a packet of `length` bytes is more than may wait; answers whether it was. */
  refusePacket(length: number): boolean;
}

export interface ScriptOptions {
  /** Path of the entry script, or the source of a built-in one under the name errors show. */
  entry: { path: string } | { name: string; source: string };
  protocol: "websocket" | "socket";
  /** Where `require` looks besides the entry's own folder. */
  libraryFolders: string[];
  /** Sources that `require` finds when no file has the name, by path, e.g. "lua/protocols/text.lua". */
  builtins: Readonly<Record<string, string>>;
  /** Seconds between looks at the files for a reload; 0 never looks. */
  byteCodeExpires: number;
  /** Milliseconds a callback may run without waiting; read at each call, so a configuration reload takes effect. */
  maxExecTime: () => number;
  /** Messages and bytes that may wait in one connection's mailbox; beyond either the connection is closed with 1008. */
  mailbox: { messages: number; bytes: number };
  host: ScriptHost;
}

export interface CallbackStats {
  count: number;
  seconds: number;
  errors: number;
  /** Errors of those that had used up their budget: `maxExecTime`, or memory. */
  timeouts: number;
}

/** Numbers for the metrics; plain fields, read when scraped. */
export interface ScriptStats {
  callbacks: Record<string, CallbackStats>;
  reloads: number;
  /** Edits that did not load: the entry or a module failed, or its `init`. */
  reloadErrors: number;
  lastReloadError: string;
  mailboxOverflows: number;
  suspended: number;
}

/**
 * One entry script in its own VM, as the servers see it. Every connection has a mailbox: its callbacks run one at a time, in
 * order; one that waits suspends only its own connection. Errors in callbacks are logged here and never reach the server.
 */
export interface Script {
  readonly stats: ScriptStats;
  /** Runs `on_handshake` (websocket) or `on_connect` (socket). A handshake answered with false closes with 1008. */
  opened(connection: Connection, handshake?: Handshake): void;
  /** A complete WebSocket message: runs `on_message`. */
  message(connection: Connection, data: Payload): void;
  /** Bytes are waiting in a stream connection's buffer: `protocol_input`, `protocol_decode`, `on_message`, as often as they go round. */
  received(connection: StreamConnection): void;
  /** Passes a value that is about to be sent through `protocol_encode`; at once, whatever the connection's callbacks do. */
  encode(connection: Connection, data: Payload): Uint8Array | { error: string };
  /**
   * The connection has ended or is about to (drain): abandons its waits, lets what is in the mailbox run, then runs `on_close`
   * with `connection.closeReason`, once, then calls `onClosed`.
   */
  closed(connection: Connection): void;
  /** Called after `on_close` has run for a connection. */
  onClosed: (connection: Connection) => void;
  /** Ends the reload timer and the script's own pools. */
  stop(): Promise<void>;
}
