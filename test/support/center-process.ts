import { messageOf } from "../../src/errors.ts";
import { CenterServer, type CenterServerOptions } from "../../src/registry/center-server.ts";
import { quiet } from "./log-lines.ts";

/** A center's registry in a process of its own, to be suspended. */
export class CenterProcess {
  private constructor(
    readonly address: string,
    readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">,
  ) {}

  /** Resolves when it listens. */
  static async start(options: Omit<CenterServerOptions, "log" | "port" | "bind">): Promise<CenterProcess> {
    const child = Bun.spawn([process.execPath, import.meta.path, JSON.stringify(options)], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await child.stdout.getReader().read();
    return new CenterProcess(`127.0.0.1:${Number(new TextDecoder().decode(value))}`, child);
  }

  pause(): void {
    this.process.kill("SIGSTOP");
  }

  resume(): void {
    this.process.kill("SIGCONT");
  }

  async dispose(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.process.exited;
  }
}

if (import.meta.main) {
  const options = JSON.parse(process.argv[2] ?? "{}") as CenterServerOptions;
  const server = new CenterServer({ ...options, port: 0, bind: "127.0.0.1", log: quiet });
  server.start().then(
    () => console.log(server.port),
    (error) => {
      console.error(messageOf(error));
      process.exit(1);
    },
  );
}
