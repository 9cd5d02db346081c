import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Subprocess } from "bun";
import { stringify } from "yaml";
import { eventually, Fatal } from "./eventually.ts";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const START_MS = 20_000;

/** A connmix process under test: a real one, on free ports, in a folder of its own. */
export class Connmix {
  readonly lines: string[] = [];
  readonly #process: Subprocess<"ignore", "pipe", "pipe">;
  readonly folder: string;
  #stderr = "";
  #ended = false;

  /** `config` is the YAML file's content as an object; ports that should be any free one are 0. */
  static async start(command: string, config: object, options: StartOptions = {}): Promise<Connmix> {
    const node = new Connmix(command, config, options);
    try {
      await node.ready(options.servers ?? (command === "center" ? 0 : 1));
    } catch (error) {
      await node.kill();
      throw error;
    }
    return node;
  }

  constructor(command: string, config: object, options: StartOptions = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "connmix-test-"));
    for (const [name, content] of Object.entries(options.files ?? {})) this.writeFile(name, content);
    this.writeConfig(config);
    const program = options.program ?? [process.execPath, MAIN];
    this.#process = Bun.spawn([...program, command, "-f", this.configFile, ...(options.args ?? [])], {
      cwd: this.folder,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...options.env },
    });
    void this.#read(this.#process.stdout, (line) => this.lines.push(line));
    void this.#read(this.#process.stderr, (line) => {
      this.#stderr += `${line}\n`;
    });
    void this.#process.exited.then(() => {
      this.#ended = true;
    });
  }

  get configFile(): string {
    return join(this.folder, "connmix.yaml");
  }

  writeConfig(config: object): void {
    writeFileSync(this.configFile, stringify({ logging: { filename: join(this.folder, "connmix.log") }, ...config }));
  }

  /** `name` may have folders in front. */
  writeFile(name: string, content: string): void {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }

  logFile(): string {
    return readFileSync(join(this.folder, "connmix.log"), "utf8");
  }

  get pid(): number {
    return this.#process.pid;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  /** Resolves when everything the command starts has said so in the log. */
  async ready(servers: number): Promise<void> {
    if (servers === 0) await this.line(/start the center api server/, START_MS);
    else await this.lineTimes(/start the protocol server/, servers, START_MS);
  }

  async line(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    await this.lineTimes(pattern, 1, timeoutMs);
    return this.lines.find((line) => pattern.test(line)) ?? "";
  }

  async lineTimes(pattern: RegExp, times: number, timeoutMs = 10_000): Promise<void> {
    await eventually(() => {
      const count = this.lines.filter((line) => pattern.test(line)).length;
      if (count < times && this.#ended) {
        throw new Fatal(`the process has ended; its output:\n${this.lines.join("\n")}\n${this.#stderr}`);
      }
      if (count < times) {
        throw new Error(`${count} of ${times} log lines match ${pattern}:\n${this.lines.join("\n")}\n${this.#stderr}`);
      }
    }, timeoutMs);
  }

  get registryPort(): number {
    return this.#port(/start the registry server \(.*:(\d+)\)/);
  }

  get centerApiPort(): number {
    return this.#port(/start the center api server \(.*:(\d+)\)/);
  }

  get meshPort(): number {
    return this.#port(/start the mesh node \(.*:(\d+)\)/);
  }

  get apiPort(): number {
    return this.#port(/start the api server \(.*:(\d+)\)/);
  }

  serverPort(index = 0): number {
    return this.#port(/start the protocol server .* \(.*:(\d+)\)/, index);
  }

  get nodeId(): string {
    return this.#match(/register engine node_id (\w+)/, 0);
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number> {
    this.#process.kill("SIGTERM");
    const code = await this.#process.exited;
    rmSync(this.folder, { recursive: true, force: true });
    return code;
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
    rmSync(this.folder, { recursive: true, force: true });
  }

  #port(pattern: RegExp, index = 0): number {
    return Number(this.#match(pattern, index));
  }

  #match(pattern: RegExp, index: number): string {
    const found = this.lines.flatMap((line) => pattern.exec(line)?.[1] ?? [])[index];
    if (found === undefined) throw new Error(`no log line matches ${pattern}:\n${this.lines.join("\n")}`);
    return found;
  }

  async #read(stream: ReadableStream<Uint8Array>, each: (line: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(each);
    }
    if (rest !== "") each(rest);
  }
}

export interface StartOptions {
  args?: string[];
  env?: Record<string, string>;
  /** Files beside the configuration, such as scripts: name → content. */
  files?: Record<string, string>;
  /** How many protocol servers to wait for; 1 unless told, 0 for a center. */
  servers?: number;
  /** Another program than this checkout's, such as the built executable. */
  program?: string[];
}

/** The configuration of a node on free ports with one server; deep enough for most tests. */
export function freePorts(server: object = {}, engine: object = {}): Record<string, unknown> {
  return {
    center: { registry: { port: 0, bind: "127.0.0.1" }, apiServer: { port: 0, bind: "127.0.0.1" } },
    engine: {
      meshPoint: { port: 0, bind: "127.0.0.1" },
      apiServer: { port: 0, bind: "127.0.0.1" },
      servers: [{ port: 0, bind: "127.0.0.1", ...server }],
      ...engine,
    },
  };
}
