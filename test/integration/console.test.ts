import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { Connmix, freePorts } from "../support/connmix.ts";
import { eventually } from "../support/eventually.ts";
import { TestSocket } from "../support/websocket.ts";

setDefaultTimeout(60_000);

/** What entry.lua does, and a channel for who asks for it. */
const SCRIPT = `
function on_message(msg, conn)
  if msg.data == "join" then return conn:subscribe("room") end
  mix.queue.push("foo", mix.json_encode({ msg = msg }))
end
`;

const USERS = [
  { username: "app", password: "s3cret", roles: ["read", "write"] },
  { username: "viewer", password: "look", roles: ["read"] },
];

let browser: Browser;
const pages: Page[] = [];
/** What the pages complained about: errors of scripts, and of the content security policy. */
const complaints: string[] = [];

beforeAll(async () => {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
});

afterAll(() => browser.close());

afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
  expect(complaints.splice(0)).toEqual([]);
});

async function open(port: number, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  pages.push(page);
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${port}/console`)) complaints.push(`asked for ${request.url()}`);
  });
  await page.goto(`http://127.0.0.1:${port}/console`);
  await eventually(async () => expect(await page.textContent("#node")).toMatch(/^(engine|center) .*up \d+ /));
  return page;
}

/** The figures at the top, by their names. */
async function figures(page: Page): Promise<Record<string, number>> {
  const boxes = await page.locator("#figures div").all();
  const read = async (part: string, i: number) => (await boxes[i]?.locator(part).textContent()) ?? "";
  const entries = await Promise.all(boxes.map(async (_, i) => [await read("dt", i), Number(await read("dd", i))]));
  return Object.fromEntries(entries);
}

function rows(page: Page, table: string): Promise<string[][]> {
  return page
    .locator(`#${table} tbody tr`)
    .evaluateAll((lines) =>
      lines.map((line) => [...(line as HTMLTableRowElement).cells].map((cell) => cell.textContent)),
    );
}

/** Frames of one side that a filter keeps, oldest first. */
async function frames(page: Page, side: "client" | "backend", kind: "in" | "out" | "bad"): Promise<string[]> {
  return page.locator(`#${side}-frames p.${kind}`).allTextContents();
}

async function replay(page: Page): Promise<void> {
  await page.click("#walk");
  await passed(page);
}

async function passed(page: Page): Promise<void> {
  await eventually(async () => {
    expect(await page.isEnabled("#walk")).toBe(true);
    expect(await page.locator("#steps li.done").count()).toBe(5);
  });
  expect(await page.locator("#steps li.failed").allTextContents()).toEqual([]);
}

/** Fills in the form for a method, sends it and returns the reply. */
async function ask(page: Page, method: string, dialect: string, fields: Record<string, string>): Promise<string> {
  const before = (await frames(page, "backend", "in")).length;
  await page.selectOption("#method", method);
  await page.selectOption("#dialect", dialect);
  for (const [name, value] of Object.entries(fields)) await page.fill(`#fields [name=${name}]`, value);
  await page.click("#backend-send button");
  return eventually(async () => {
    const reply = (await frames(page, "backend", "in"))[before];
    if (reply === undefined) throw new Error(`no reply to ${method}`);
    return reply;
  });
}

describe("on an engine", () => {
  let node: Connmix;

  beforeAll(async () => {
    const config = { ...freePorts({ entry: "script.lua" }), cluster: { advertise: "127.0.0.1" } };
    node = await Connmix.start("single", config, { files: { "script.lua": SCRIPT } });
  });
  afterAll(() => node.stop());

  test("the overview tells the truth about the traffic", async () => {
    const page = await open(node.apiPort);
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
    const page = await open(node.apiPort, { colorScheme: "light" });
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
    const page = await open(node.apiPort);
    expect(await page.textContent("#log")).toContain("start the protocol server");
    expect(await page.locator("#log .warn").first().textContent()).toContain("no users are configured");
    await fetch(`http://127.0.0.1:${node.apiPort}/version`, { headers: { origin: "https://elsewhere.example" } });
    await eventually(async () => expect(await page.textContent("#log")).toContain("elsewhere.example"));
  });

  test("the walk-through passes, again and again, and with messages of others waiting in the topic", async () => {
    const other = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    for (const text of ["one", "two"]) other.send(text);
    const page = await open(node.apiPort);
    for (let i = 0; i < 3; i++) await replay(page);
    expect(await frames(page, "client", "in")).toEqual(["hello, world!", "hello, world!", "hello, world!"]);
    other.close();
  });

  test("every method can be called from the form, in either dialect", async () => {
    const page = await open(node.apiPort);
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
    const page = await open(node.apiPort);
    await page.fill("#client-url", "ws://127.0.0.1:9/");
    await page.click("#walk");
    await eventually(async () => expect(await page.locator("#steps li.failed").count()).toBe(2));
    expect((await frames(page, "client", "bad")).join()).toContain("is a websocket server at that address?");
    expect(await page.isEnabled("#walk")).toBe(true);
    expect(complaints.splice(0).join()).toContain("ERR_UNSAFE_PORT");
  });

  test("the keyboard alone is enough", async () => {
    const page = await open(node.apiPort);
    const focused = () => page.evaluate(() => document.activeElement?.id ?? "");
    const tabTo = async (id: string) => {
      for (let i = 0; i < 40 && (await focused()) !== id; i++) await page.keyboard.press("Tab");
      expect(await focused()).toBe(id);
      // The page draws itself anew every second: the focus must stay.
      expect(await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle)).not.toBe(
        "none",
      );
    };
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    expect(await focused()).toBe("try");
    await tabTo("walk");
    await page.keyboard.press("Enter");
    await passed(page);
    await tabTo("client-message");
    await page.keyboard.type(" by keyboard");
    await page.keyboard.press("Enter");
    expect((await frames(page, "client", "out")).at(-1)).toContain("by keyboard");
    await tabTo("method");
    await page.keyboard.type("mesh.publish");
    await tabTo("frame");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await eventually(async () => expect((await frames(page, "backend", "in")).at(-1)).toContain('"total":0'));
  });

  test.each([360, 700, 1400])("at a width of %d nothing is cut off", async (width) => {
    const page = await open(node.apiPort, { viewport: { width, height: 800 } });
    await replay(page);
    const overflow = await page.evaluate(() => {
      const right = document.documentElement.clientWidth;
      const scrolls = (element: Element) => element.closest(".scroll") !== null;
      return [...document.body.querySelectorAll("*")]
        .filter((element) => !scrolls(element) && element.getBoundingClientRect().right > right + 0.5)
        .map((element) => element.outerHTML.slice(0, 80));
    });
    expect(overflow).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
  });

  test.each(["light", "dark"] as const)("text can be read in the %s colours", async (colorScheme) => {
    const page = await open(node.apiPort, { colorScheme });
    await replay(page);
    /** The lowest contrast (WCAG 2.2, 1.4.3) of text with its background. */
    const worst = await page.evaluate(() => {
      const rgb = (colour: string) =>
        /[\d.]+/g.exec(colour) ? (colour.match(/[\d.]+/g) ?? []).map(Number) : [0, 0, 0, 0];
      const luminance = (colour: number[]) => {
        const [r = 0, g = 0, b = 0] = colour.slice(0, 3).map((channel) => {
          const c = channel / 255;
          return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const background = (element: Element | null): number[] => {
        if (element === null) return [255, 255, 255];
        const colour = rgb(getComputedStyle(element).backgroundColor);
        return colour[3] === 0 ? background(element.parentElement) : colour;
      };
      let lowest = { contrast: 21, text: "" };
      for (const element of document.body.querySelectorAll("*:not(button:disabled)")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent?.trim());
        if (!own || element.matches("script, style")) continue;
        const [text, behind] = [luminance(rgb(getComputedStyle(element).color)), luminance(background(element))];
        const contrast = (Math.max(text, behind) + 0.05) / (Math.min(text, behind) + 0.05);
        if (contrast < lowest.contrast) lowest = { contrast, text: element.textContent ?? "" };
      }
      return lowest;
    });
    expect(worst.contrast, worst.text).toBeGreaterThan(4.5);
  });
});

test("on a center, with the engine in another process: rates, links to the engine, and the walk-through", async () => {
  const center = await Connmix.start("center", freePorts());
  const engine = await Connmix.start(
    "engine",
    freePorts({ entry: "script.lua" }, { centerRegistry: `127.0.0.1:${center.registryPort}` }),
    { files: { "script.lua": SCRIPT } },
  );
  try {
    const page = await open(center.centerApiPort);
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
    node = await Connmix.start("single", config, { files: { "script.lua": SCRIPT } });
  });
  afterAll(() => node.stop());

  const as = (username: string, password: string) => ({ httpCredentials: { username, password } });

  test("nobody sees the page without credentials", async () => {
    expect((await fetch(`http://127.0.0.1:${node.apiPort}/console`)).status).toBe(401);
    expect((await fetch(`http://127.0.0.1:${node.apiPort}/console/state`)).status).toBe(401);
  });

  test("a user with both roles walks through", async () => {
    await replay(await open(node.apiPort, as("app", "s3cret")));
  });

  test("one who may only read sees everything and changes nothing", async () => {
    const page = await open(node.apiPort, as("viewer", "look"));
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
