import { element } from "./dom.ts";

const MAX_FRAMES = 500;

/** One side of the try-it panel: a WebSocket, its connect and send buttons, and the frames that went over it. */
export class SocketPanel {
  #socket: WebSocket | undefined;
  readonly #url: HTMLInputElement;
  readonly #connect: HTMLButtonElement;
  readonly #send: HTMLButtonElement;
  readonly #frames: HTMLElement;
  onMessage: (text: string) => void = () => {};

  constructor(readonly name: "client" | "backend") {
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
        this.onMessage(text);
      };
      socket.onclose = (event) => {
        const why = event.reason === "" ? "" : ` ${event.reason}`;
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
