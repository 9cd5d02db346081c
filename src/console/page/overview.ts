import type { ConsoleMember, ConsoleState } from "../state.ts";
import { LiveChart } from "./charts.ts";
import { element, fillTable } from "./dom.ts";
import { RateMeter, type Rates } from "./rates.ts";

/** Seconds over which rates are taken: of the engine asked, and of others, whose counters come with their renewals. */
const OWN_WINDOW = 1;
const OTHERS_WINDOW = 10;

/** The left half: the cluster at a glance, drawn anew from each state. */
export class Overview {
  readonly #clients = new LiveChart("chart-clients", ["--accent"]);
  readonly #messages = new LiveChart("chart-messages", ["--in", "--out"]);
  readonly #publishes = new LiveChart("chart-publishes", ["--accent"]);
  #meters = new Map<string, RateMeter>();
  #lastLine = "";

  show(state: ConsoleState): void {
    const { node, members, engine } = state;
    const name = node.role === "center" ? "center" : `engine ${node.id}`;
    element("node").textContent =
      `${name} · ${node.version} · registry: ${node.registry} · up ${duration(node.uptime)}`;

    const rates = this.#rates(state);
    const total = (pick: (rates: Rates) => number) => rates.reduce((sum, each) => sum + pick(each), 0);
    const [read, sent, publishes] = [
      total((each) => each.read),
      total((each) => each.sent),
      total((each) => each.publishes),
    ];
    const clients = members.reduce((sum, { load }) => sum + (load?.clients ?? 0), 0);
    figures([
      ["Engines", members.length],
      ["Connections", clients],
      ["Messages /s in", read],
      ["Messages /s out", sent],
      ["Publishes /s", publishes],
    ]);
    const at = Date.now() / 1000;
    this.#clients.add(at, [clients]);
    this.#messages.add(at, [read, sent]);
    this.#publishes.add(at, [publishes]);

    fillTable(
      "engines",
      members.map((member, i) => [
        {
          text: member.id,
          href: member.id === node.id ? undefined : consoleOf(member),
          note: member.id === node.id ? "this one" : "",
        },
        member.host,
        String(member.apiPort),
        member.servers.map((server) => `${server.protocol} ${server.port}`).join(", "),
        member.load?.clients ?? 0,
        Math.round(rates[i]?.read ?? 0),
        Math.round(rates[i]?.sent ?? 0),
        duration(at - member.startedAt / 1000),
      ]),
      "no engine has registered",
    );
    const elsewhere = (what: string) => `a center has no ${what}: open the console of an engine, above`;
    fillTable(
      "queues",
      (engine?.topics ?? []).map(({ name, depth, size, consumers, pushed, rejected }) => [
        name,
        `${count(depth)} / ${count(size)}`,
        consumers,
        pushed,
        rejected,
      ]),
      engine === undefined ? elsewhere("queues") : "nothing has been pushed or consumed",
    );
    fillTable(
      "channels",
      (engine?.topChannels ?? []).map((channel) => [channel.name, channel.subscribers]),
      engine === undefined ? elsewhere("channels") : "nobody is subscribed to a channel",
    );
    this.#showLog(state.log);
  }

  /** Of each member, in their order. */
  #rates({ node, members }: ConsoleState): Rates[] {
    const now = performance.now() / 1000;
    const before = this.#meters;
    this.#meters = new Map();
    return members.map(({ id, load }) => {
      const meter = before.get(id) ?? new RateMeter(id === node.id ? OWN_WINDOW : OTHERS_WINDOW);
      this.#meters.set(id, meter);
      return load === undefined ? { read: 0, sent: 0, publishes: 0 } : meter.add(now, load);
    });
  }

  #showLog(lines: string[]): void {
    const last = lines.at(-1) ?? "";
    if (last === this.#lastLine) return;
    this.#lastLine = last;
    const log = element("log");
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.replaceChildren(
      ...lines.map((text) => {
        const line = document.createElement("div");
        line.textContent = text;
        line.className = / {2}(WARN|ERROR) /.exec(text)?.[1]?.toLowerCase() ?? "";
        return line;
      }),
    );
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
}

/** Where an engine serves its own console. */
function consoleOf({ here, host, apiPort }: ConsoleMember): string {
  const name = here ? location.hostname : host.includes(":") ? `[${host}]` : host;
  return `${location.protocol}//${name}:${apiPort}/console`;
}

function figures(values: [string, number][]): void {
  element("figures").replaceChildren(
    ...values.map(([name, value]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const data = document.createElement("dd");
      term.textContent = name;
      data.textContent = count(Math.round(value));
      box.append(term, data);
      return box;
    }),
  );
}

function count(value: number): string {
  return value.toLocaleString("en");
}

function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}
