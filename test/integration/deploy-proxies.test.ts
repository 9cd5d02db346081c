import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/ports.ts";
import { TestSocket } from "../support/websocket.ts";

const DEPLOY = resolve(import.meta.dir, "../../conf/deploy");
const NGINX = readFileSync(join(DEPLOY, "nginx.conf"), "utf8");
const HAPROXY = readFileSync(join(DEPLOY, "haproxy.cfg"), "utf8");

/** Says where the engine thinks a client comes from. */
const WHO = `
function on_message(msg, conn)
  conn:send(msg.data .. " from " .. conn:remote_addr())
end
`;

/** The same for lines over TCP. */
const WHO_LINES = `
function protocol_input(buf, conn)
  local last = buf:find("\\n")
  return last and last or 0
end
function protocol_decode(str, conn)
  return str:sub(1, -2)
end
function protocol_encode(value, conn)
  return value .. "\\n"
end
function on_message(msg, conn)
  conn:send(msg .. " from " .. conn:remote_addr())
end
`;

let folder: string;
let engine: Connmix;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "connmix-proxy-"));
  const servers = [{ entry: "who.lua" }, { entry: "lines.lua", protocol: "socket", proxyProtocol: true }].map(
    (server) => ({ port: 0, bind: "127.0.0.1", trustedProxies: ["127.0.0.1"], ...server }),
  );
  const files = { "who.lua": WHO, "lines.lua": WHO_LINES };
  engine = await Connmix.start("dev", freePorts({}, { servers }), { files, servers: 2 });
});

afterAll(async () => {
  await engine.stop();
  rmSync(folder, { recursive: true });
});

test("the nginx sample is valid as it is", async () => {
  const nginx = Bun.spawn(["nginx", "-t", "-c", join(DEPLOY, "nginx.conf"), "-p", folder, "-e", "stderr"], {
    stderr: "pipe",
  });
  expect(await new Response(nginx.stderr).text()).toContain("test is successful");
  expect(await nginx.exited).toBe(0);
});

test("the HAProxy sample is valid as it is", async () => {
  const haproxy = Bun.spawn(["haproxy", "-c", "-f", join(DEPLOY, "haproxy.cfg")], { stderr: "pipe", stdout: "pipe" });
  expect(await new Response(haproxy.stderr).text()).toBe("");
  expect(await haproxy.exited).toBe(0);
});

/** Connects from an address other than the proxy's own, which Bun's WebSocket cannot, says hello and returns the answer. */
async function askFrom(localAddress: string, url: string): Promise<string> {
  const script = `
    const WebSocket = require("ws");
    const headers = { "X-Forwarded-For": "9.9.9.9" };
    const socket = new WebSocket(${JSON.stringify(url)}, { localAddress: ${JSON.stringify(localAddress)}, headers });
    socket.on("open", () => socket.send("hello"));
    socket.on("message", (data) => { console.log(String(data)); socket.close(); });
    socket.on("error", (error) => { console.error(error.message); process.exit(1); });`;
  const client = Bun.spawn(["node", "-e", script], { cwd: resolve(import.meta.dir, "../.."), stderr: "pipe" });
  if ((await client.exited) !== 0) throw new Error(await new Response(client.stderr).text());
  return new Response(client.stdout).text();
}

const proxies: [string, (port: number) => string[]][] = [
  [
    "nginx",
    (port) => {
      const config = NGINX.replace(/listen 80;/, `listen 127.0.0.1:${port};`)
        .replace(/server 10\.0\.0\.11:6790/, `server 127.0.0.1:${engine.serverPort()}`)
        // The second engine is not there: nginx has to pass it over.
        .replace(/server 10\.0\.0\.12:6790/, "server 127.0.0.1:9")
        .replace(/65536|262144/g, "1024");
      const file = join(folder, "nginx.conf");
      writeFileSync(file, `daemon off; pid ${join(folder, "nginx.pid")};\n${config}`);
      return ["nginx", "-c", file, "-p", folder, "-e", "stderr"];
    },
  ],
  [
    "haproxy",
    (port) => {
      const config = HAPROXY.replace("bind :80", `bind 127.0.0.1:${port}`)
        .replace(/server engine-1 10\.0\.0\.11:6790/, `server engine-1 127.0.0.1:${engine.serverPort()}`)
        .replace(/server engine-2 10\.0\.0\.12:6790/, "server engine-2 127.0.0.1:9")
        .replaceAll("check port 6789", `check port ${engine.apiPort}`)
        .replace("maxconn 100000", "maxconn 100")
        .replace("bind :6791", `bind 127.0.0.1:${port + 1}`)
        .replace(/server engine-1 10\.0\.0\.11:6791/, `server engine-1 127.0.0.1:${engine.serverPort(1)}`)
        .replace(/server engine-2 10\.0\.0\.12:6791/, "server engine-2 127.0.0.1:9");
      const file = join(folder, "haproxy.cfg");
      writeFileSync(file, config);
      return ["haproxy", "-db", "-f", file];
    },
  ],
];

describe.each(proxies)("behind %s", (name, commandFor) => {
  test("WebSockets pass, and the engine knows the client's own address, whatever the client claims", async () => {
    const port = freePort();
    const proxy = Bun.spawn(commandFor(port), { stdout: "ignore", stderr: "ignore" });
    try {
      const answer = await eventually(() => askFrom("127.0.0.9", `ws://127.0.0.1:${port}/`));
      expect(answer).toBe("hello from 127.0.0.9:0\n");
      // The HAProxy sample also serves clients of a socket server, whose port it knows as well.
      if (name === "haproxy") expect(await askLine(port + 1, "hello\n")).toBe("hello from 127.0.0.1:LOCAL");
    } finally {
      proxy.kill("SIGTERM");
      await proxy.exited;
    }
  });
});

/** Sends bytes over TCP and returns the first line that comes back, with the port it was sent from as LOCAL. */
function askLine(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void socket.write(bytes),
        data: (socket, chunk) => {
          text += chunk;
          if (!text.includes("\n")) return;
          resolve(text.slice(0, text.indexOf("\n")).replace(String(socket.localPort), "LOCAL"));
          socket.end();
        },
        close: () => resolve("closed"),
      },
    }).catch(reject);
  });
}

test("without a trusted proxy in between, the header is not believed", async () => {
  const config = freePorts({ entry: "who.lua", trustedProxies: ["10.0.0.5"] });
  const other = await Connmix.start("dev", config, { files: { "who.lua": WHO } });
  try {
    const headers = { "X-Forwarded-For": "9.9.9.9" };
    const client = await TestSocket.connect(`ws://127.0.0.1:${other.serverPort()}`, headers);
    client.send("hello");
    expect(await client.text()).toMatch(/^hello from 127\.0\.0\.1:\d+$/);
    client.close();
  } finally {
    await other.stop();
  }
});
