import type { ConsoleState } from "../state.ts";
import { element } from "./dom.ts";
import { METHODS, type Method } from "./methods.ts";
import { SocketPanel } from "./socket-panel.ts";
import { walkThrough } from "./walk-through.ts";

/** The right half: a client and a backend, side by side. */
export class TryIt {
  readonly #client = new SocketPanel("client", "is a websocket server at that address?");
  readonly #backend = new SocketPanel(
    "backend",
    "is it an API server? Where users are configured it takes only the pages of its own console",
  );
  readonly #method = element<HTMLSelectElement>("method");
  readonly #dialect = element<HTMLSelectElement>("dialect");
  readonly #fields = element("fields");
  readonly #frame = element<HTMLTextAreaElement>("frame");
  /** The sender of the latest event: what a reply most likely goes to. */
  #clientId = "";
  #id = 1;

  constructor() {
    for (const method of METHODS) this.#method.add(new Option(method.name));
    this.#method.addEventListener("change", () => this.#showFields());
    this.#dialect.addEventListener("change", () => this.#showFrame());
    this.#fields.addEventListener("input", () => this.#showFrame());
    this.#showFields();
    element<HTMLFormElement>("client-send").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#client.send(element<HTMLInputElement>("client-message").value);
    });
    element<HTMLFormElement>("backend-send").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#backend.send(this.#frame.value);
      this.#id++;
      this.#showFrame();
    });
    this.#backend.listen((text) => this.#learnClient(text));
    element("walk").addEventListener("click", () => void walkThrough(this.#client, this.#backend));
  }

  /** Suggests addresses from what the cluster looks like. */
  update(state: ConsoleState): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const engine = state.members.find((member) => member.id === state.node.id) ?? state.members[0];
    if (engine === undefined) return;
    const host = engine.here ? location.hostname : bracketed(engine.host);
    const server = engine.servers.find((candidate) => candidate.protocol === "websocket");
    if (server !== undefined) this.#client.suggest(`${scheme}://${host}:${server.port}`);
    // The page's own server, unless that is a center's.
    const api = engine.id === state.node.id ? location.host : `${host}:${engine.apiPort}`;
    this.#backend.suggest(`${scheme}://${api}/ws/v1`);
  }

  get #chosen(): Method {
    return METHODS[this.#method.selectedIndex] ?? METHODS[0]!;
  }

  #showFields(): void {
    this.#fields.replaceChildren(
      ...this.#chosen.fields.map((field) => {
        const label = document.createElement("label");
        const input = document.createElement("input");
        input.name = field.name;
        input.value = field.name === "client_id" ? this.#clientId : field.value;
        input.autocomplete = "off";
        label.append(field.label, input);
        return label;
      }),
    );
    this.#showFrame();
  }

  #showFrame(): void {
    const values: Record<string, string> = {};
    for (const input of this.#fields.querySelectorAll("input")) values[input.name] = input.value;
    const long = this.#dialect.value === "long";
    const body = long ? this.#chosen.long(values) : this.#chosen.short(values);
    this.#frame.value = JSON.stringify({ ...(body as object), [long ? "id" : "i"]: this.#id });
  }

  #learnClient(text: string): void {
    try {
      const frame = JSON.parse(text);
      const id = frame.result?.client_id ?? frame.p?.c;
      if (typeof id !== "string") return;
      this.#clientId = id;
      const input = this.#fields.querySelector<HTMLInputElement>("input[name=client_id]");
      // What somebody is typing stays.
      if (input === null || input === document.activeElement) return;
      input.value = id;
      this.#showFrame();
    } catch {
      // Not JSON ("pong"): nothing to learn.
    }
  }
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
