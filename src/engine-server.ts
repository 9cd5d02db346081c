import { dirname, join } from "node:path";
import { builtinFiles } from "./builtin.ts";
import { type Entry, entryOf } from "./config/entry.ts";
import type { LoadedConfig } from "./config/load.ts";
import type { ServerConfig } from "./config/schema.ts";
import { Certificate } from "./listen/certificate.ts";
import { RemoteAddress } from "./listen/remote-address.ts";
import type { ScriptHost } from "./lua/host.ts";
import { loadScript } from "./lua/runtime.ts";
import type { Script } from "./lua/script.ts";
import type { Limits, Port, PortParts } from "./server/port.ts";
import { SocketPort } from "./server/socket.ts";
import { WebSocketPort } from "./server/websocket.ts";

/** What may wait for one connection whose callback waits. */
const MAILBOX = { messages: 1024, bytes: 4 * 1024 * 1024 };

/** One of `engine.servers` as it runs: a listening port and the script behind it. */
export interface EngineServer {
  port: Port;
  script: Script;
  /** The port number it listens on; the configured one, unless that was 0. */
  listening: number;
  /** The script as the log names it. */
  label: string;
}

/** What every server of an engine shares. */
export interface ServerContext extends Omit<PortParts, "script">, Omit<ScriptHost, "options"> {
  /** Shares the port with sibling processes. */
  reusePort: boolean;
  /** Milliseconds, read at each call. */
  maxExecTime: () => number;
}

/**
 * Loads the script of `engine.servers[index]` and takes its port, which lets nobody in yet. Throws a `UserError` when the script
 * cannot be loaded or the port cannot be had.
 */
export function openServer(loaded: LoadedConfig, index: number, context: ServerContext): EngineServer {
  const server = loaded.config.engine.servers[index]!;
  const entry = entryOf(loaded, index);
  const script = loadScript({
    entry,
    protocol: server.protocol,
    byteCodeExpires: server.byteCodeExpires,
    maxExecTime: context.maxExecTime,
    mailbox: MAILBOX,
    libraryFolders: libraryFolders(entry, loaded.root),
    builtins: builtinFiles,
    host: { ...context, options: server.options },
  });
  const options = {
    port: server.port,
    bind: server.bind,
    reusePort: context.reusePort,
    certificate:
      server.tls && new Certificate(server.tls, loaded.where(["engine", "servers", index, "tls"]), context.log),
    limits: limitsOf(server),
    remoteAddress: new RemoteAddress(server.trustedProxies),
    proxyProtocol: server.proxyProtocol,
  };
  const parts: PortParts = { ...context, script };
  const port =
    server.protocol === "websocket"
      ? new WebSocketPort({ ...options, path: server.path }, parts)
      : new SocketPort(options, parts);
  return { port, script, listening: port.listen(), label: "path" in entry ? entry.path : entry.name };
}

/** The bounds of a server, where 0 connections stands for any number. */
export function limitsOf(server: ServerConfig): Limits {
  return { ...server, maxConnections: server.maxConnections === 0 ? Number.POSITIVE_INFINITY : server.maxConnections };
}

/** Where `require` looks: beside the entry script, then in the configuration's `lua` folder. */
function libraryFolders(entry: Entry, root: string): string[] {
  const shared = join(root, "lua");
  return "path" in entry ? [dirname(entry.path), shared] : [shared];
}
