import { expect } from "bun:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { eventually } from "./eventually.ts";

/** What entry.lua does, and a channel for who asks for it. */
export const CONSOLE_SCRIPT = `
function on_message(msg, conn)
  if msg.data == "join" then return conn:subscribe("room") end
  mix.queue.push("foo", mix.json_encode({ msg = msg }))
end
`;

/** A browser that looks at consoles. */
export class ConsoleBrowser {
  /** What the pages complained about since they were last closed: errors of scripts, and of the content security policy. */
  readonly complaints: string[] = [];
  readonly #pages: Page[] = [];

  private constructor(readonly browser: Browser) {}

  static async start(): Promise<ConsoleBrowser> {
    const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
    return new ConsoleBrowser(await chromium.launch({ executablePath: "/usr/bin/chromium", args }));
  }

  /** The console on the API port of a node, once it shows something. */
  async open(port: number, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.browser.newContext(options);
    const page = await context.newPage();
    this.#pages.push(page);
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => message.type() === "error" && this.complaints.push(message.text()));
    page.on("request", (request) => {
      if (!request.url().startsWith(`http://127.0.0.1:${port}/console`))
        this.complaints.push(`asked for ${request.url()}`);
    });
    await page.goto(`http://127.0.0.1:${port}/console`);
    await eventually(async () => expect(await page.textContent("#node")).toMatch(/^(engine|center) .*up \d+ /));
    return page;
  }

  /** To be called after each test, which fails when a page has complained. */
  async closePages(): Promise<void> {
    for (const page of this.#pages.splice(0)) await page.context().close();
    expect(this.complaints.splice(0)).toEqual([]);
  }

  async stop(): Promise<void> {
    await this.browser.close();
  }
}

/** The figures at the top, by their names. */
export async function figures(page: Page): Promise<Record<string, number>> {
  const boxes = await page.locator("#figures div").all();
  const read = async (part: string, i: number) => (await boxes[i]?.locator(part).textContent()) ?? "";
  const entries = await Promise.all(boxes.map(async (_, i) => [await read("dt", i), Number(await read("dd", i))]));
  return Object.fromEntries(entries);
}

export function rows(page: Page, table: string): Promise<string[][]> {
  return page
    .locator(`#${table} tbody tr`)
    .evaluateAll((lines) =>
      lines.map((line) => [...(line as HTMLTableRowElement).cells].map((cell) => cell.textContent)),
    );
}

/** Frames of one side that a filter keeps, oldest first. */
export async function frames(page: Page, side: "client" | "backend", kind: "in" | "out" | "bad"): Promise<string[]> {
  return page.locator(`#${side}-frames p.${kind}`).allTextContents();
}

export async function replay(page: Page): Promise<void> {
  await page.click("#walk");
  await passed(page);
}

export async function passed(page: Page): Promise<void> {
  await eventually(async () => {
    expect(await page.isEnabled("#walk")).toBe(true);
    expect(await page.locator("#steps li.done").count()).toBe(5);
  });
  expect(await page.locator("#steps li.failed").allTextContents()).toEqual([]);
}

/** Fills in the form for a method, sends it and returns the reply. */
export async function ask(
  page: Page,
  method: string,
  dialect: string,
  fields: Record<string, string>,
): Promise<string> {
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
