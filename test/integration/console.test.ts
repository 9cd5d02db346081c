import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { Connmix, freePorts } from "../support/connmix.ts";
import { ask, CONSOLE_SCRIPT, ConsoleBrowser, figures, frames, replay, rows } from "../support/console-browser.ts";
import { eventually } from "../support/eventually.ts";
import { TestSocket } from "../support/websocket.ts";

setDefaultTimeout(60_000);

const USERS = [
  { username: "app", password: "s3cret", roles: ["read", "write"] },
  { username: "viewer", password: "look", roles: ["read"] },
];

let browser: ConsoleBrowser;
beforeAll(async () => {
  browser = await ConsoleBrowser.start();
});
afterAll(() => browser.stop());
afterEach(() => browser.closePages());

describe("on an engine", () => {
  let node: Connmix;

  beforeAll(async () => {
    const config = { ...freePorts({ entry: "script.lua" }), cluster: { advertise: "127.0.0.1" } };
    node = await Connmix.start("single", config, { files: { "script.lua": CONSOLE_SCRIPT } });
  });
  afterAll(() => node.stop());

  test("the overview tells the truth about the traffic", async () => {
    const page = await browser.open(node.apiPort);
    const clients = await Promise.all([1, 2, 3].map(() => TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`)));
    for (const client of clients) client.send("join");
    for (let i = 0; i < 40; i++) clients[0]?.send("hello");
    await eventually(async () => {
      expect(await figures(page)).toMatchObject({ Engines: 1, Connections: 3 });
      expect(await rows(page, "queues")).toEqual([["foo", "40 / 2,000", "0", "40", "0"]]);
      expect(await rows(page, "channels")).toEqual([["room", "3"]]);
    });
    const [engine] = await rows(page, "engines");
    expect(engine?.slice(0, 5)).toEqual([
      `${node.nodeId} this one`,
      "127.0.0.1",
      String(node.apiPort),
      `websocket ${node.serverPort()}`,
      "3",
    ]);

    // A hundred messages and publishes a second, as even as a busy machine lets it: the page must come near the truth.
    const backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
    let sent = 0;
    const began = performance.now();
    const timer = setInterval(() => {
      for (const due = (performance.now() - began) / 10; sent < due; sent++) {
        clients[1]?.send("hello");
        backend.send('{"m":"mesh.publish","p":{"c":"room","d":"x"},"i":1}');
      }
    }, 10);
    await eventually(async () => {
      const rates = await figures(page);
      expect(rates["Messages /s in"]).toBeWithin(60, 141);
      expect(rates["Messages /s out"]).toBeWithin(180, 421);
      expect(rates["Publishes /s"]).toBeWithin(60, 141);
    });
    clearInterval(timer);
    await eventually(async () => {
      expect(await figures(page)).toMatchObject({ "Messages /s in": 0, "Messages /s out": 0, "Publishes /s": 0 });
    });

    for (const client of clients) client.close();
    backend.close();
    await eventually(async () => expect((await figures(page)).Connections).toBe(0));
    expect(await rows(page, "channels")).toEqual([["nobody is subscribed to a channel"]]);
  });

  test("the charts are drawn, and drawn anew when light becomes dark", async () => {
    const page = await browser.open(node.apiPort, { colorScheme: "light" });
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    /** How many different colours each chart shows. */
    const colours = () =>
      page.locator(".charts canvas").evaluateAll((canvases) =>
        canvases.map((canvas) => {
          const { width, height } = canvas as HTMLCanvasElement;
          const pixels = (canvas as HTMLCanvasElement).getContext("2d")?.getImageData(0, 0, width, height).data ?? [];
          return [...new Set(new Uint32Array(new Uint8ClampedArray(pixels).buffer))].sort().join();
        }),
      );
    const drawn = await eventually(async () => {
      const found = await colours();
      expect(found.length).toBe(3);
      for (const chart of found) expect(chart.split(",").length).toBeGreaterThan(5);
      return found;
    });
    await page.emulateMedia({ colorScheme: "dark" });
    await eventually(async () => expect(await colours()).not.toEqual(drawn));
    client.close();
  });

  test("the log shows what the node logs", async () => {
    const page = await browser.open(node.apiPort);
    expect(await page.textContent("#log")).toContain("start the protocol server");
    expect(await page.locator("#log .warn").first().textContent()).toContain("no users are configured");
    await fetch(`http://127.0.0.1:${node.apiPort}/version`, { headers: { origin: "https://elsewhere.example" } });
    await eventually(async () => expect(await page.textContent("#log")).toContain("elsewhere.example"));
  });

  test("the walk-through passes, again and again, and with messages of others waiting in the topic", async () => {
    const other = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    for (const text of ["one", "two"]) other.send(text);
    const page = await browser.open(node.apiPort);
    for (let i = 0; i < 3; i++) await replay(page);
    expect(await frames(page, "client", "in")).toEqual(["hello, world!", "hello, world!", "hello, world!"]);
    other.close();
  });

  test("every method can be called from the form, in either dialect", async () => {
    const page = await browser.open(node.apiPort);
    await replay(page);
    const methods = await page.locator("#method option").allTextContents();
    for (const dialect of ["long", "short"]) {
      const ok = dialect === "long" ? '"success":true' : '"s":true';
      const all = {
        "server.ping": ["server.pong", {}],
        "queue.unconsume": [ok, {}],
        "queue.consume": [ok, { topics: "foo, bar" }],
        "conn.call subscribe": [ok, { channels: "room" }],
        "conn.call channels": ["room", {}],
        "mesh.publish": [dialect === "long" ? '"total":1' : '"t":1', { channel: "room", data: "to all" }],
        "conn.call unsubscribe": [ok, { channels: "room" }],
        "conn.call set_context_value": [ok, { key: "user_id", value: "10000" }],
        "conn.call set_context": [ok, { values: '{"name":"Ann"}' }],
        "conn.call context": ['"user_id":10000', {}],
        "mesh.send": [ok, { data: "aGVsbG8=", type: "binary" }],
        "conn.call close": [ok, { reason: "bye" }],
      } satisfies Record<string, [string, Record<string, string>]>;
      expect(Object.keys(all).sort()).toEqual(methods.toSorted());
      for (const [method, [answer, fields]] of Object.entries(all)) {
        expect(await ask(page, method, dialect, fields)).toContain(answer);
      }
      await eventually(async () => expect(await frames(page, "client", "in")).toContain("to all"));
      await eventually(async () => expect(await page.textContent("#client-connect")).toBe("Connect"));
      expect(await page.textContent("#client-frames")).toContain("closed with 1000 bye");
      // The next dialect has a new client, whose id the form takes from its message.
      await page.click("#client-connect");
      await page.click("#client-send button");
      await eventually(async () => expect(await page.textContent("#client-frames")).toMatch(/connected\s*test$|test$/));
      await eventually(async () => {
        const events = (await frames(page, "backend", "in")).filter((frame) => frame.includes('"queue'));
        expect(events.at(-1)).toContain('"data":"test"');
      });
    }
  });

  test("what cannot be reached is said in the panel and stops the walk-through", async () => {
    const page = await browser.open(node.apiPort);
    await page.fill("#client-url", "ws://127.0.0.1:9/");
    await page.click("#walk");
    await eventually(async () => expect(await page.locator("#steps li.failed").count()).toBe(2));
    expect((await frames(page, "client", "bad")).join()).toContain("is a websocket server at that address?");
    expect(await page.isEnabled("#walk")).toBe(true);
    expect(browser.complaints.splice(0).join()).toContain("ERR_UNSAFE_PORT");
  });
});

test("on a center, with the engine in another process: rates, links to the engine, and the walk-through", async () => {
  const center = await Connmix.start("center", freePorts());
  const engine = await Connmix.start(
    "engine",
    freePorts({ entry: "script.lua" }, { centerRegistry: `127.0.0.1:${center.registryPort}` }),
    { files: { "script.lua": CONSOLE_SCRIPT } },
  );
  try {
    const page = await browser.open(center.centerApiPort);
    await eventually(async () => expect((await rows(page, "engines"))[0]?.[0]).toBe(engine.nodeId));
    const link = await page.getAttribute("#engines a", "href");
    expect(link).toBe(`http://127.0.0.1:${engine.apiPort}/console`);
    await replay(page);
    await eventually(async () => expect((await figures(page)).Connections).toBe(1), 15_000);
    expect((await rows(page, "queues"))[0]?.[0]).toContain("open the console of an engine");
  } finally {
    await engine.stop();
    await center.stop();
  }
});

describe("with users", () => {
  let node: Connmix;

  beforeAll(async () => {
    const config = { ...freePorts({ entry: "script.lua" }), access: { users: USERS } };
    node = await Connmix.start("single", config, { files: { "script.lua": CONSOLE_SCRIPT } });
  });
  afterAll(() => node.stop());

  const as = (username: string, password: string) => ({ httpCredentials: { username, password } });

  test("nobody sees the page without credentials", async () => {
    expect((await fetch(`http://127.0.0.1:${node.apiPort}/console`)).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${node.apiPort}/console/state`)).status).toBe(401);
  });

  test("a user with both roles walks through", async () => {
    await replay(await browser.open(node.apiPort, as("app", "s3cret")));
  });

  test("one who may only read sees everything and changes nothing", async () => {
    const page = await browser.open(node.apiPort, as("viewer", "look"));
    expect((await figures(page)).Engines).toBe(1);
    await page.click("#backend-connect");
    await eventually(async () => expect(await page.textContent("#backend-connect")).toBe("Disconnect"));
    expect(await ask(page, "server.ping", "long", {})).toContain("server.pong");
    expect(await ask(page, "mesh.publish", "long", {})).toContain('"code":103');
    expect(await ask(page, "queue.consume", "short", {})).toContain('"c":103');
  });
});

test("the page may load nothing from elsewhere and be framed by nobody", async () => {
  const node = await Connmix.start("dev", freePorts());
  try {
    const response = await fetch(`http://127.0.0.1:${node.apiPort}/console`);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await response.text()).not.toMatch(/(src|href)="(https?:)?\/\//);
  } finally {
    await node.stop();
  }
});
