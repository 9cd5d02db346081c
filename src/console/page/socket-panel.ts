import { element } from "./dom.ts";

const MAX_FRAMES = 500;
/** The code browsers report when a connection ended without a close frame, or never came about. */
const LOST = 1006;

/** One side of the try-it panel: a WebSocket, its connect and send buttons, and the frames that went over it. */
export class SocketPanel {
  #socket: WebSocket | undefined;
  readonly #url: HTMLInputElement;
  readonly #connect: HTMLButtonElement;
  readonly #send: HTMLButtonElement;
  readonly #frames: HTMLElement;
  readonly #listeners = new Set<(text: string) => void>();

  readonly #refused: string;

  /** `refused` says what may be the matter when a connection does not come about: browsers do not tell. */
  constructor(name: "client" | "backend", refused: string) {
    this.#refused = refused;
    this.#url = element(`${name}-url`);
    this.#connect = element(`${name}-connect`);
    this.#frames = element(`${name}-frames`);
    const form = element<HTMLFormElement>(`${name}-send`);
    this.#send = form.querySelector("button") as HTMLButtonElement;
    element<HTMLFormElement>(`${name}-form`).addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#socket === undefined) this.connect().catch(() => {});
      else this.#socket.close(1000);
    });
  }

  /** Fills in the address unless somebody has typed one. */
  suggest(url: string): void {
    if (this.#url.value === "" || this.#url.value === this.#url.dataset.suggested) {
      this.#url.value = url;
      this.#url.dataset.suggested = url;
    }
  }

  /** Calls `listener` with each text frame that arrives, until the returned function is called. */
  listen(listener: (text: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      let socket: WebSocket;
      try {
        socket = new WebSocket(this.#url.value);
      } catch (error) {
        this.#note(String(error), "bad");
        reject(error);
        return;
      }
      this.#socket = socket;
      this.#note(`connecting to ${this.#url.value}`, "note");
      this.#connect.textContent = "Disconnect";
      socket.onopen = () => {
        this.#note("connected", "note");
        this.#send.disabled = false;
        resolve();
      };
      socket.onmessage = (event) => {
        const text = typeof event.data === "string" ? event.data : `(${event.data.size} binary bytes)`;
        this.#note(text, "in");
        for (const listener of this.#listeners) listener(text);
      };
      socket.onclose = (event) => {
        const why = event.reason !== "" ? ` ${event.reason}` : event.code === LOST ? `: ${this.#refused}` : "";
        this.#note(`closed with ${event.code}${why}`, event.code === 1000 ? "note" : "bad");
        this.#socket = undefined;
        this.#connect.textContent = "Connect";
        this.#send.disabled = true;
        reject(new Error(`closed with ${event.code}${why}`));
      };
    });
  }

  send(text: string): void {
    if (!this.connected) return;
    this.#socket?.send(text);
    this.#note(text, "out");
  }

  #note(text: string, kind: "in" | "out" | "note" | "bad"): void {
    const line = document.createElement("p");
    line.className = kind;
    line.textContent = text;
    this.#frames.append(line);
    while (this.#frames.childElementCount > MAX_FRAMES) this.#frames.firstChild?.remove();
    this.#frames.scrollTop = this.#frames.scrollHeight;
  }
}
