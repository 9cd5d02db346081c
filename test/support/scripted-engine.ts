import type { Server, ServerWebSocket } from "bun";

export interface ScriptedRequest {
  method: string;
  params: unknown[];
  id: number;
}

type Socket = ServerWebSocket<undefined>;

/**
 * An API server that answers what a test tells it to, for cases a real engine cannot be brought to (silence, refusals,
 * lists of engines that change).
 */
export class ScriptedEngine {
  readonly #server: Server<undefined>;
  readonly sockets = new Set<Socket>();
  readonly consumers = new Set<Socket>();
  readonly requests: ScriptedRequest[] = [];
  readonly authorizations: (string | null)[] = [];
  /** Addresses that `/v1/nodes` lists; this engine alone unless set. */
  nodes: string[] | undefined;
  /** What to answer: a result, an error, or nothing. */
  answer: (request: ScriptedRequest) => { result: unknown } | { error: { code: number; message: string } } | undefined;

  constructor() {
    this.answer = () => ({ result: { success: true } });
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request, server) => {
        this.authorizations.push(request.headers.get("authorization"));
        const { pathname } = new URL(request.url);
        if (pathname === "/ws/v1" && server.upgrade(request)) return undefined;
        if (pathname !== "/v1/nodes") return new Response("not found", { status: 404 });
        const nodes = (this.nodes ?? [this.address]).map((api_server, i) => ({ id: `node${i}`, api_server }));
        return Response.json({ nodes });
      },
      websocket: {
        open: (socket) => void this.sockets.add(socket),
        close: (socket) => {
          this.sockets.delete(socket);
          this.consumers.delete(socket);
        },
        message: (socket, text) => this.#receive(socket, JSON.parse(String(text))),
      },
    });
  }

  get address(): string {
    return `127.0.0.1:${this.#server.port}`;
  }

  get url(): string {
    return `http://${this.address}`;
  }

  /** Hands an event to the first consumer. */
  push(data: unknown, topic = "foo"): void {
    const [consumer] = this.consumers;
    consumer?.send(
      JSON.stringify({ event: "queue.consume", result: { client_id: "7", queue: topic, data }, id: null }),
    );
  }

  count(method: string): number {
    return this.requests.filter((request) => request.method === method).length;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  #receive(socket: Socket, request: ScriptedRequest): void {
    this.requests.push(request);
    const answer = this.answer(request);
    if (answer === undefined) return;
    if ("result" in answer && request.method === "queue.consume") this.consumers.add(socket);
    if (request.method === "queue.unconsume") this.consumers.delete(socket);
    socket.send(JSON.stringify({ error: null, ...answer, id: request.id }));
  }
}
