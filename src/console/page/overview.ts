import type { ConsoleState } from "../state.ts";
import { LiveChart } from "./charts.ts";
import { element, fillTable } from "./dom.ts";

/** Counters of which the page shows the change per second. */
interface Counters {
  time: number;
  read: number;
  sent: number;
  publishes: number;
}

/** The left half: the cluster at a glance, drawn anew from each state. */
export class Overview {
  readonly #clients = new LiveChart("chart-clients", ["--accent"]);
  readonly #messages = new LiveChart("chart-messages", ["--in", "--out"]);
  readonly #publishes = new LiveChart("chart-publishes", ["--accent"]);
  #last: Counters | undefined;
  #logged = "";

  show(state: ConsoleState): void {
    const { node, members, engine } = state;
    const loads = members.map((member) => member.load);
    const sum = (pick: (load: NonNullable<(typeof loads)[number]>) => number) =>
      loads.reduce((total, load) => total + (load === undefined ? 0 : pick(load)), 0);
    element("node").textContent =
      `${node.role} ${node.id} · ${node.version} · registry ${node.registry} · up ${duration(node.uptime)}`;

    // An engine knows its own figures to the moment; the others' arrive with their renewals.
    const now: Counters = {
      time: performance.now() / 1000,
      read: engine?.readMessages ?? sum((load) => load.readMessages),
      sent: engine?.sentMessages ?? sum((load) => load.sentMessages),
      publishes: engine?.publishes ?? sum((load) => load.publishes),
    };
    const rates = this.#rates(now);
    const clients = sum((load) => load.clients);
    figures([
      ["Engines", members.length],
      ["Connections", clients],
      ...(engine === undefined
        ? []
        : ([
            ["On this engine", engine.clients],
            ["Channels here", engine.channels],
          ] as [string, number][])),
      ["Messages in /s", rates.read],
      ["Messages out /s", rates.sent],
      ["Publishes /s", rates.publishes],
    ]);
    const at = Date.now() / 1000;
    this.#clients.add(at, [engine?.clients ?? clients]);
    this.#messages.add(at, [rates.read, rates.sent]);
    this.#publishes.add(at, [rates.publishes]);

    fillTable(
      "engines",
      members.map((member) => [
        member.id === node.id ? `${member.id} (this one)` : member.id,
        member.host,
        String(member.apiPort),
        member.servers.map((server) => `${server.protocol} ${server.port}`).join(", "),
        member.load?.clients ?? 0,
        duration((Date.now() - member.startedAt) / 1000),
      ]),
      "no engine has registered",
    );
    fillTable(
      "queues",
      (engine?.topics ?? []).map((topic) => [
        topic.name,
        topic.depth,
        topic.size,
        topic.consumers,
        topic.pushed,
        topic.rejected,
      ]),
      engine === undefined ? "a center has no queues: open an engine's console" : "nothing has been pushed or consumed",
    );
    fillTable(
      "channels",
      (engine?.topChannels ?? []).map((channel) => [channel.name, channel.subscribers]),
      engine === undefined ? "a center has no channels: open an engine's console" : "nobody is subscribed to a channel",
    );
    this.#showLog(state.log.join("\n"));
  }

  #rates(now: Counters): Omit<Counters, "time"> {
    const last = this.#last ?? now;
    this.#last = now;
    const seconds = Math.max(now.time - last.time, 0.001);
    const rate = (value: number, before: number) => Math.max(0, Math.round((value - before) / seconds));
    return {
      read: rate(now.read, last.read),
      sent: rate(now.sent, last.sent),
      publishes: rate(now.publishes, last.publishes),
    };
  }

  #showLog(text: string): void {
    if (text === this.#logged) return;
    this.#logged = text;
    const log = element<HTMLPreElement>("log");
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.textContent = text;
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
}

function figures(values: [string, number][]): void {
  element("figures").replaceChildren(
    ...values.map(([name, value]) => {
      const box = document.createElement("div");
      const term = document.createElement("dt");
      const data = document.createElement("dd");
      term.textContent = name;
      data.textContent = value.toLocaleString("en");
      box.append(term, data);
      return box;
    }),
  );
}

function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}
