import { backoff, LONGEST } from "./backoff.ts";
import { get } from "./http.ts";
import type { Credentials } from "./websocket.ts";

/** One engine of the cluster as `/v1/nodes` lists it. */
export interface Node {
  id: string;
  /** `host:port` of its API server, as the engine advertises it. */
  api_server: string;
  version?: string;
  [key: string]: unknown;
}

export interface DiscoveryOptions {
  /** `http(s)://host:port` of centers and engines. */
  urls: string[];
  credentials?: Credentials | undefined;
  requestTimeout: number;
  /** Base URL of a listed engine's API server. */
  resolve(node: Node): string;
  onNodes(nodes: Node[]): void;
  onTrouble(text: string): void;
}

/** The least time between two looks, however many connections are lost at once. */
const SETTLE = 250;

/** Asks `/v1/nodes` every few seconds, of the addresses given and, when none answers, of the engines known so far. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #aborter = new AbortController();
  #nodes: Node[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #looking = false;
  /** Looks in a row that found no engine. */
  #fruitless = 0;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    void this.#look();
  }

  get nodes(): Node[] {
    return this.#nodes;
  }

  /** Looks again soon: something changed. */
  refresh(): void {
    if (!this.#looking) this.#lookIn(SETTLE);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#aborter.abort();
  }

  #lookIn(delay: number): void {
    clearTimeout(this.#timer);
    if (!this.#aborter.signal.aborted) this.#timer = setTimeout(() => void this.#look(), delay);
  }

  async #look(): Promise<void> {
    this.#looking = true;
    const { urls, resolve, onNodes, onTrouble } = this.#options;
    const troubles: string[] = [];
    for (const url of new Set([...urls, ...this.#nodes.map(resolve)])) {
      try {
        const nodes = await this.#ask(url);
        onNodes(nodes);
        this.#nodes = nodes;
        this.#fruitless = nodes.length > 0 ? 0 : this.#fruitless + 1;
        troubles.length = 0;
        break;
      } catch (error) {
        troubles.push((error as Error).message);
      }
    }
    if (troubles.length > 0 && !this.#aborter.signal.aborted) {
      this.#fruitless++;
      onTrouble(`no list of engines: ${troubles.join("; ")}`);
    }
    this.#looking = false;
    this.#lookIn(this.#fruitless > 0 ? backoff(this.#fruitless) : LONGEST * (0.8 + 0.4 * Math.random()));
  }

  async #ask(url: string): Promise<Node[]> {
    const { credentials, requestTimeout } = this.#options;
    const signal = AbortSignal.any([this.#aborter.signal, AbortSignal.timeout(requestTimeout)]);
    const response = await get(url, "/v1/nodes", credentials, signal);
    const body: unknown = await response.json();
    if (!isNodeList(body))
      throw new Error(`${url}: its /v1/nodes is not {"nodes":[{"id","api_server"}]}; is this connmix?`);
    return body.nodes;
  }
}

function isNodeList(body: unknown): body is { nodes: Node[] } {
  const nodes = (body as { nodes?: unknown } | null)?.nodes;
  return (
    Array.isArray(nodes) && nodes.every((node) => typeof node?.id === "string" && typeof node.api_server === "string")
  );
}
