import type { Connmix } from "./connmix.ts";

/**
 * A client that stays connected to some engine: closed by one, it picks another after a short random while, subscribes again
 * and goes on. It delivers numbered messages to a topic one after the other, each once the last one was confirmed.
 */
export class RoamingClient {
  /** The numbers heard on the channel, connection by connection. */
  readonly heard: number[][] = [];
  readonly confirmed: number[] = [];
  /** Sent on a connection that ended before the answer: it may or may not have arrived. */
  readonly uncertain: number[] = [];
  readonly closeCodes: number[] = [];
  refused = 0;
  readonly #name: string;
  readonly #engines: () => Connmix[];
  #socket: WebSocket | undefined;
  #left: Connmix | undefined;
  #next = 0;
  #waitingFor: number | undefined;
  #stopped = false;

  constructor(name: string, engines: () => Connmix[]) {
    this.#name = name;
    this.#engines = engines;
    this.#connect();
  }

  get connected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.close();
  }

  #connect(): void {
    if (this.#stopped) return;
    const choice = this.#engines().filter((engine) => engine !== this.#left);
    const engine = choice[Math.floor(Math.random() * choice.length)]!;
    const socket = new WebSocket(`ws://127.0.0.1:${engine.serverPort()}`);
    let open = false;
    this.#socket = socket;
    socket.onopen = () => {
      open = true;
      this.heard.push([]);
      socket.send("subscribe news");
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => {
      if (this.#waitingFor !== undefined) this.uncertain.push(this.#waitingFor);
      this.#waitingFor = undefined;
      if (this.#stopped) return;
      if (open) this.closeCodes.push(code);
      else this.refused++;
      this.#left = engine;
      setTimeout(() => this.#connect(), Math.random() * 50);
    };
  }

  #receive(text: string): void {
    if (text === "subscribed") this.#deliver();
    else if (text === "delivered") {
      this.confirmed.push(this.#waitingFor!);
      this.#waitingFor = undefined;
      setTimeout(() => this.#deliver(), 2);
    } else {
      this.heard.at(-1)!.push(Number(text));
    }
  }

  #deliver(): void {
    if (this.#stopped || !this.connected) return;
    this.#waitingFor = this.#next++;
    this.#socket?.send(`deliver work ${JSON.stringify({ from: this.#name, n: this.#waitingFor })}`);
  }
}
