import type { Candidate } from "../../src/registry/registry.ts";
import { until } from "./eventually.ts";
import type { MemberEvent, RegistryAccess } from "./registry-member.ts";

/** A member of a registry in a process of its own, to be killed and suspended. */
export class RegistryProcess {
  readonly events: MemberEvent[] = [];
  readonly #process: Bun.Subprocess<"ignore", "pipe", "inherit">;

  constructor(access: RegistryAccess, candidate: Candidate) {
    const script = `${import.meta.dir}/registry-member.ts`;
    this.#process = Bun.spawn([process.execPath, script, JSON.stringify(access), JSON.stringify(candidate)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#read();
  }

  /** The number it registered under. */
  async number(): Promise<number> {
    const event = await until(() => this.events.find((found) => "number" in found), 20_000, "registration");
    return (event as { number: number }).number;
  }

  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process.kill("SIGCONT");
  }

  /** kill -9: its connections close, and it says nothing. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  /** It leaves the registry and ends. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    this.#process.kill("SIGCONT");
    await this.#process.exited;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of this.#process.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.events.push(JSON.parse(line));
    }
  }
}
