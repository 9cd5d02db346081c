import { processTree } from "./process-usage.ts";

const START_TIMEOUT_MS = 20_000;
const POLL_MS = 20;
const STOP_TIMEOUT_MS = 15_000;

/** A contender's server while it runs. */
export interface Running {
  /** The processes whose CPU and memory are the server's, at this moment. */
  pids: () => number[];
  /** Ports by what they are for: `client`, `api`, and `client2` where a second node has clients. */
  ports: Record<string, number>;
  stop(): Promise<void>;
}

/** Keeps servers and load clients apart when there are two cores: each has one. */
export const SERVER_CORE = 0;
export const CLIENT_CORE = 1;

/** The command on one core, where the machine has several and `taskset` (util-linux). */
export function pinned(command: readonly string[], core: number | undefined): string[] {
  if (core === undefined || navigator.hardwareConcurrency <= CLIENT_CORE || Bun.which("taskset") === null)
    return [...command];
  return ["taskset", "-c", String(core), ...command];
}

/** Whatever ends the benchmark, no server outlives it. */
const alive = new Set<Bun.Subprocess>();
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** A started program: its output is kept for the error when it fails. */
export class ServerProcess {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #name: string;
  #output = "";

  constructor(command: readonly string[], options: { core?: number; cwd?: string; env?: Record<string, string> } = {}) {
    this.#name = command.join(" ");
    this.#child = Bun.spawn(pinned(command, options.core), {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    alive.add(this.#child);
    this.#keep(this.#child.stdout);
    this.#keep(this.#child.stderr);
  }

  /** This process and its children at this moment. */
  pids(): number[] {
    return processTree(this.#child.pid);
  }

  /** The first line of output that is a JSON object: the ports of a control or peer. */
  async ports(): Promise<Record<string, number>> {
    await this.until("print its ports", () => /^\{.*\}$/m.test(this.#output));
    return JSON.parse(/^\{.*\}$/m.exec(this.#output)![0]);
  }

  async listening(port: number): Promise<void> {
    await this.until(`listen on port ${port}`, () => accepts(port));
  }

  /** Polls `condition` until it holds. Throws with the program's output when the program ends first or takes too long. */
  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await condition())) {
      if (this.#child.exitCode !== null) throw this.#failure("ended instead of starting");
      if (performance.now() > deadline) throw this.#failure(`did not ${what}`);
      await Bun.sleep(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#child.exited;
    clearTimeout(timer);
    alive.delete(this.#child);
  }

  /** The end of what a program prints before it ends is where it says why. */
  #failure(what: string): Error {
    const said = this.#output.trim().split("\n").slice(-8).join("\n");
    return new Error(`${this.#name} ${what}:\n${said}`);
  }

  async #keep(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    // The beginning is what explains a failed start; a chatty server must not fill memory.
    for await (const chunk of stream)
      if (this.#output.length < 64 * 1024) this.#output += decoder.decode(chunk, { stream: true });
  }
}

function accepts(port: number): Promise<boolean> {
  return Bun.connect({ hostname: "127.0.0.1", port, socket: { data: () => {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
}

/** Ports that were free a moment ago, for programs that must be told theirs. */
export function freePorts(count: number): number[] {
  const listeners = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => {} } }),
  );
  const ports = listeners.map((listener) => listener.port);
  for (const listener of listeners) listener.stop();
  return ports;
}
