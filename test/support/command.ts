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
