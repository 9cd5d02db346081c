import { resolve } from "node:path";

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  /** Another program than this checkout's, such as the built executable. */
  program?: string[];
}

/** Runs a command that ends by itself, to its end. */
export async function runCommand(args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = Bun.spawn([...(options.program ?? [process.execPath, MAIN]), ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/**
 * A TCP port for what cannot be told to find one by itself: free a moment ago, and below those that the system hands out to
 * clients and to whoever asks for any.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Taken: try another.
    }
  }
}
