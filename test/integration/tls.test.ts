import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { makeCertificate, type TestCertificate } from "../support/certificates.ts";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { LineClient } from "../support/line-client.ts";
import { TestSocket } from "../support/websocket.ts";

const WEBSOCKET = `
function on_handshake(client_id, headers, server, conn)
  conn:subscribe("all")
end
function on_message(msg, conn)
  if msg.data == "publish" then mix.mesh.publish("all", "published") else conn:send(msg.data) end
end
`;

const LINES = `
local text = require("protocols.text")
protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
function on_message(msg, conn)
  conn:send(msg)
end
`;

let folder: string;
let first: TestCertificate;
let second: TestCertificate;
/** The files the node under test is told of. */
let used: TestCertificate;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "connmix-tls-"));
  first = await makeCertificate(folder, "first");
  second = await makeCertificate(folder, "second");
  used = { cert: join(folder, "used.crt"), key: join(folder, "used.key") };
});

afterAll(() => rmSync(folder, { recursive: true }));

function use({ cert, key }: TestCertificate): void {
  copyFileSync(cert, used.cert);
  copyFileSync(key, used.key);
}

/** The common name of the certificate that is shown to who connects now. */
async function shownAt(port: number): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const name = socket.getPeerCertificate().subject.CN;
  socket.destroy();
  return String(name);
}

function ca(): { ca: string[] } {
  return { ca: [first, second].map(({ cert }) => readFileSync(cert, "utf8")) };
}

async function openLines(port: number): Promise<LineClient> {
  const socket: TLSSocket = connect({ host: "127.0.0.1", port, ...ca() });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  return new LineClient(socket);
}

describe("with a certificate", () => {
  let node: Connmix;
  let ports: Record<"websocket" | "socket" | "api" | "center", number>;

  beforeAll(async () => {
    use(first);
    const shared = { port: 0, bind: "127.0.0.1", tls: used };
    const servers = [
      { ...shared, entry: "websocket.lua" },
      { ...shared, entry: "lines.lua", protocol: "socket" },
    ];
    const config = freePorts({}, { servers, apiServer: shared });
    config.center = { registry: { port: 0, bind: "127.0.0.1" }, apiServer: shared };
    const files = { "websocket.lua": WEBSOCKET, "lines.lua": LINES };
    node = await Connmix.start("dev", config, { files, servers: 2 });
    ports = {
      websocket: node.serverPort(0),
      socket: node.serverPort(1),
      api: node.apiPort,
      center: node.centerApiPort,
    };
  });

  afterAll(() => node.stop());

  const shown = () => Promise.all(Object.values(ports).map(shownAt));

  test("WebSocket servers, socket servers and API servers speak TLS; a change of the files keeps every connection", async () => {
    expect(await shown()).toEqual(["first", "first", "first", "first"]);
    const client = await TestSocket.connect(`wss://127.0.0.1:${ports.websocket}`, {}, ca());
    const lines = await openLines(ports.socket);
    const backend = await TestSocket.connect(`wss://127.0.0.1:${ports.api}/ws/v1`, {}, ca());

    use(second);
    await eventually(async () => expect(await shown()).toEqual(["second", "second", "second", "second"]));

    client.send("still here");
    expect(await client.text()).toBe("still here");
    lines.send("still here\n");
    expect(await lines.line()).toBe("still here");
    backend.sendJson({ method: "server.ping", params: [], id: 1 });
    expect(await backend.json()).toMatchObject({ error: null, id: 1 });
    expect(await (await fetch(`https://127.0.0.1:${ports.api}/v1/nodes`, { tls: ca() })).json()).toHaveProperty(
      "nodes",
    );

    // A channel reaches subscribers that came before the change and after it.
    const later = await TestSocket.connect(`wss://127.0.0.1:${ports.websocket}`, {}, ca());
    later.send("publish");
    expect([await client.text(), await later.text()]).toEqual(["published", "published"]);
    client.close();
    later.send("publish");
    expect(await later.text()).toBe("published");
    for (const open of [later, lines, backend]) open.close();
  });

  test("a broken pair is logged once for each listener, and the old one stays", async () => {
    copyFileSync(first.key, used.key);
    const complaint =
      /not reloaded, the old one stays: .*\.key: found \S+used\.key, which is not the key of .*used\.crt/;
    await node.lineTimes(complaint, 4);
    writeFileSync(used.cert, "not PEM");
    await node.lineTimes(
      /not reloaded, the old one stays: .*\.cert: found \S+used\.crt, expected a PEM certificate/,
      4,
    );
    expect(await shown()).toEqual(["second", "second", "second", "second"]);
    use(first);
    await eventually(async () => expect(await shown()).toEqual(["first", "first", "first", "first"]));
    expect(node.lines.filter((line) => complaint.test(line)).length).toBe(4);
  });
});

describe("a start with a broken pair is one clear line that names the setting and the file", () => {
  async function failure(tls: () => TestCertificate): Promise<string> {
    const node = new Connmix("dev", freePorts({ tls: tls() }));
    expect(await node.exited).toBe(1);
    await node.kill();
    return node.stderr;
  }

  const KEY = String.raw`^\S+connmix\.yaml:\d+: engine\.servers\[0\]\.tls`;

  test.each<[string, () => TestCertificate, string]>([
    [
      "a key of another certificate",
      () => ({ ...first, key: second.key }),
      "key: found .*second.key, which is not the key",
    ],
    [
      "a certificate that is no PEM",
      () => ({ ...first, cert: import.meta.path }),
      "cert: found .*, expected a PEM cert",
    ],
    [
      "a key that is no PEM",
      () => ({ ...first, key: first.cert }),
      "key: found .*first.crt, expected a PEM private key",
    ],
    ["a file that is not there", () => ({ ...first, cert: "/nowhere.crt" }), "cert: cannot read /nowhere.crt"],
  ])("%s", async (_, tls, message) => {
    expect(await failure(tls)).toMatch(new RegExp(`${KEY}\\.${message}[^\n]*\n$`));
  });
});
