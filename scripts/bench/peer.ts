import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Load } from "./load/load.ts";
import type { Contender } from "./row.ts";
import { freePorts, type Running, SERVER_CORE, ServerProcess } from "./server-process.ts";

const FOLDER = join(import.meta.dir, "peers");
const NGINX_MODULES = "/usr/lib/nginx/modules";

type LoadOf = (server: Running) => Load;

/** Other servers, each with its ordinary settings and on one core, when they are installed. */
function peer(
  name: string,
  unavailable: () => string | undefined,
  start: () => Promise<Running>,
  load: LoadOf,
): Contender {
  return { name, role: "peer", unavailable, start, load };
}

/** ws on Node. */
export function ws(load: LoadOf): Contender {
  return peer("ws on Node", needsPackage("ws"), () => startNode("ws.mjs"), load);
}

/** Socket.IO on Node, one node. */
export function socketIo(load: LoadOf): Contender {
  return peer("Socket.IO", needsPackage("socket.io"), () => startNode("socket-io.mjs"), load);
}

/** Two Socket.IO nodes with the Redis adapter; Redis's CPU is part of the server's. Ports: `client`, `api` and `client2`. */
export function socketIoRedis(load: LoadOf): Contender {
  const unavailable = () =>
    needsPackage("@socket.io/redis-adapter")() ??
    (Bun.which("redis-server") === null ? "redis-server is not installed" : undefined);
  return peer("Socket.IO + Redis adapter", unavailable, startSocketIoPair, load);
}

/** nginx with nchan. */
export function nchan(load: LoadOf): Contender {
  return peer("nchan", needsNginx("ngx_nchan_module.so"), () => startNginx("nchan.conf"), load);
}

/** nginx with LuaJIT. */
export function nginxLua(load: LoadOf): Contender {
  return peer("nginx + LuaJIT", needsNginx("ngx_http_lua_module.so"), () => startNginx("luajit.conf"), load);
}

function needsPackage(name: string): () => string | undefined {
  return () => {
    if (Bun.which("node") === null) return "node is not installed";
    return existsSync(join(FOLDER, "node_modules", name))
      ? undefined
      : "not installed: npm install --prefix scripts/bench/peers";
  };
}

function needsNginx(module: string): () => string | undefined {
  return () => {
    if (Bun.which("nginx") === null) return "nginx is not installed";
    return existsSync(join(NGINX_MODULES, module)) ? undefined : `nginx has no ${module}`;
  };
}

async function startNode(file: string, ...args: string[]): Promise<Running> {
  const server = new ServerProcess(["node", join(FOLDER, file), ...args], { core: SERVER_CORE });
  return { ports: await server.ports(), pids: () => server.pids(), stop: () => server.stop() };
}

async function startSocketIoPair(): Promise<Running> {
  const [redisPort] = freePorts(1) as [number];
  const redis = new ServerProcess(["redis-server", "--port", String(redisPort), "--save", "", "--bind", "127.0.0.1"], {
    core: SERVER_CORE,
    cwd: tmpdir(),
  });
  await redis.listening(redisPort);
  const first = await startNode("socket-io.mjs", String(redisPort));
  const second = await startNode("socket-io.mjs", String(redisPort));
  return {
    pids: () => [...first.pids(), ...second.pids(), ...redis.pids()],
    ports: { ...first.ports, client2: second.ports.client! },
    stop: async () => {
      await Promise.all([first.stop(), second.stop()]);
      await redis.stop();
    },
  };
}

async function startNginx(file: string): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), "connmix-bench-"));
  const [port] = freePorts(1) as [number];
  const text = await Bun.file(join(FOLDER, file)).text();
  await Bun.write(join(folder, "nginx.conf"), text.replaceAll("PORT", String(port)).replaceAll("FOLDER", FOLDER));
  const server = new ServerProcess(["nginx", "-p", folder, "-c", "nginx.conf"], { core: SERVER_CORE });
  await server.listening(port);
  // The master listens before it starts the worker, which is what serves.
  await server.until("start its worker", () => server.pids().length > 1);
  return {
    pids: () => server.pids(),
    ports: { client: port, api: port },
    stop: async () => {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}
