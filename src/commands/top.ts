import { defineCommand } from "citty";
import { messageOf, UserError } from "../errors.ts";
import { Api, apiArguments } from "./api.ts";
import { type Load, type Look, loadBetween, topicsOf } from "./load.ts";
import { type ListedNode, listNodes } from "./nodes.ts";
import { columns, print } from "./output.ts";
import { parseSamples } from "./prometheus-text.ts";

/** An engine that does not answer must not hold up the others for long. */
const SCRAPE_TIMEOUT_MS = 3_000;

/** The engines at one API address: one, or the worker processes that share its port. */
interface Row {
  address: string;
  nodes: string;
  load: Load | { unreachable: string };
}

export const top = defineCommand({
  meta: { name: "top", description: "Watch engines, connections, message rates and queues" },
  args: {
    interval: { type: "string", valueHint: "seconds", default: "2", description: "time between two looks" },
    count: { type: "string", alias: "n", valueHint: "N", description: "end after N looks" },
    ...apiArguments,
  },
  async run({ args }) {
    const interval = positive("--interval", args.interval);
    const count = args.count === undefined ? Number.POSITIVE_INFINITY : positive("--count", args.count);
    const api = new Api(args);
    const watch = new Watch(api);
    await watch.look();
    const show = process.stdout.isTTY ? new Screen(api.url) : new Lines();
    const ended = endOf(process.stdin.isTTY === true && process.stdout.isTTY === true);
    try {
      for (let shown = 0; shown < count; shown++) {
        if (await Promise.race([ended, Bun.sleep(interval * 1000)])) return;
        await show.rows(await watch.look());
      }
    } finally {
      show.close();
    }
  },
});

/** Looks at all engines and remembers the look before. */
class Watch {
  readonly #api: Api;
  #before = new Map<string, Look>();
  #listed: ListedNode[] = [];

  constructor(api: Api) {
    this.#api = api;
  }

  /** Engines seen for the first time are left out: they have no rates yet. Throws when no engine was ever listed. */
  async look(): Promise<Row[]> {
    await this.#list();
    const byAddress = Map.groupBy(this.#listed, ({ api_server }) => api_server);
    // What a single engine advertises need not be reachable from here; the address given is.
    const urls = byAddress.size === 1 ? [this.#api.url] : [];
    const looks = new Map<string, Look>();
    const rows = await Promise.all(
      [...byAddress].map(async ([address, nodes]): Promise<Row[]> => {
        const row = { address, nodes: nodes.map(({ id }) => id).join(",") };
        try {
          const now = await this.#scrape([`${new URL(this.#api.url).protocol}//${address}`, ...urls]);
          looks.set(address, now);
          const before = this.#before.get(address);
          return before ? [{ ...row, load: loadBetween(before, now) }] : [];
        } catch (thrown) {
          return [{ ...row, load: { unreachable: messageOf(thrown) } }];
        }
      }),
    );
    this.#before = looks;
    return rows.flat();
  }

  async #list(): Promise<void> {
    try {
      this.#listed = await listNodes(this.#api);
    } catch (thrown) {
      if (this.#listed.length === 0) throw thrown;
    }
  }

  /** The metrics of an engine, by the first address that has any. */
  async #scrape([url = "", ...others]: string[]): Promise<Look> {
    try {
      const text = await (await this.#api.get("/metrics", url, SCRAPE_TIMEOUT_MS)).text();
      const samples = parseSamples(text);
      if (!samples.some(({ name }) => name === "connmix_engine_servers_clients")) throw new Error(`${url}: no engine`);
      return { at: performance.now(), samples };
    } catch (thrown) {
      if (others.length === 0) throw thrown;
      return this.#scrape(others);
    }
  }
}

const HEADER = ["API", "CLIENTS", "IN/s", "OUT/s", "ERRORS/s", "QUEUED", "NODE"];
const NUMBERS = [1, 2, 3, 4, 5];

function cells({ address, nodes, load }: Row): string[] {
  if ("unreachable" in load) return [address, "-", "-", "-", "-", "-", `${nodes} (${load.unreachable})`];
  return [address, `${load.clients}`, rate(load.received), rate(load.sent), rate(load.errors), `${load.queued}`, nodes];
}

function rate(perSecond: number): string {
  return perSecond === 0 || perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}

function loads(rows: Row[]): Load[] {
  return rows.flatMap(({ load }) => ("unreachable" in load ? [] : [load]));
}

/** A line for each engine and look, with the time in front: for files and pipes. */
class Lines {
  #headed = false;

  async rows(rows: Row[]): Promise<void> {
    const time = new Date().toISOString();
    if (!this.#headed) await print(["TIME", ...HEADER].join(" "));
    this.#headed = true;
    for (const row of rows) await print([time, ...cells(row)].join(" "));
  }

  close(): void {}
}

/** The terminal's other screen, drawn over at every look. */
class Screen {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    process.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J");
  }

  async rows(rows: Row[]): Promise<void> {
    const all = loads(rows);
    const clients = all.reduce((sum, load) => sum + load.clients, 0);
    const topics = topicsOf(all).map(({ topic, depth, consumers, pushed, popped }) => [
      topic,
      `${depth}`,
      `${consumers}`,
      rate(pushed),
      rate(popped),
    ]);
    const lines = [
      `${this.#url}  engines: ${rows.length}  clients: ${clients}  ${new Date().toLocaleTimeString()}  (q ends)`,
      "",
      ...columns([HEADER, ...rows.map(cells)], NUMBERS),
      "",
      ...columns([["TOPIC", "WAITING", "CONSUMERS", "PUSHED/s", "TAKEN/s"], ...topics], [1, 2, 3, 4]),
    ];
    const { rows: height, columns: width } = process.stdout;
    const visible = lines.slice(0, height - 1).map((line) => `${line.slice(0, width)}\x1b[K`);
    process.stdout.write(`\x1b[H${visible.join("\r\n")}\x1b[J`);
  }

  close(): void {
    process.stdout.write("\x1b[?25h\x1b[?1049l");
  }
}

/** Resolves to true when the person has seen enough: Ctrl-C, or q where there is a keyboard. */
function endOf(keyboard: boolean): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
    process.once("SIGINT", () => resolve(true)).once("SIGTERM", () => resolve(true));
    if (!keyboard) return;
    process.stdin.setRawMode(true);
    process.stdin.on("data", (keys: Buffer) => {
      // In raw mode Ctrl-C is a key, not a signal.
      if (keys.includes("q") || keys.includes("\x03")) resolve(true);
    });
  }).finally(() => {
    if (keyboard) process.stdin.setRawMode(false);
    process.stdin.pause();
  });
}

function positive(option: string, given: string): number {
  const number = Number(given);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new UserError(`${option}: found ${JSON.stringify(given)}, expected a number above 0`, 2);
}
