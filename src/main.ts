#!/usr/bin/env bun
import { stripVTControlCharacters } from "node:util";
import {
  type ArgsDef,
  type CommandDef,
  defineCommand,
  parseArgs,
  renderUsage,
  runCommand,
  type SubCommandsDef,
} from "citty";
import { examples } from "./commands/examples.ts";
import { messageOf, UserError } from "./errors.ts";
import { NAME, VERSION, versionLine } from "./version.ts";

/** Loaded when asked for: a shell command should not wait for the engine's parts. */
const commands: SubCommandsDef = {
  dev: async () => (await import("./commands/dev.ts")).dev,
  single: async () => (await import("./commands/single.ts")).single,
  center: async () => (await import("./commands/center.ts")).center,
  engine: async () => (await import("./commands/engine.ts")).engine,
  init: async () => (await import("./commands/init.ts")).init,
  check: async () => (await import("./commands/check.ts")).check,
  nodes: async () => (await import("./commands/nodes.ts")).nodes,
  send: async () => (await import("./commands/send.ts")).send,
  publish: async () => (await import("./commands/publish.ts")).publish,
  consume: async () => (await import("./commands/consume.ts")).consume,
  call: async () => (await import("./commands/call.ts")).call,
  top: async () => (await import("./commands/top.ts")).top,
  version: async () => (await import("./commands/version.ts")).version,
};

const connmix = defineCommand({
  meta: { name: NAME, version: VERSION, description: "A gateway for long connections, scripted in Lua" },
  subCommands: commands,
});

/** Exit code of a command line that makes no sense, as shells use it. */
const USAGE = 2;

async function run([name, ...rest]: string[]): Promise<void> {
  if (name === "-h" || name === "--help") return console.log(await usage(connmix));
  if (name === "-v" || name === "--version") return console.log(versionLine());
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  const command = await (load as (() => Promise<CommandDef>) | undefined)?.();
  if (!command) {
    const problem = name === undefined ? "no command given" : `unknown command ${JSON.stringify(name)}`;
    throw new UserError(`${problem}\n\n${await usage(connmix)}`, USAGE);
  }
  if (rest.includes("-h") || rest.includes("--help")) {
    return console.log((await usage(command, connmix)) + examplesOf(name!));
  }
  const problem = problemWith(rest, command);
  if (problem) throw new UserError(`${problem}\n\n${await usage(command, connmix)}`, USAGE);
  await runCommand(command, { rawArgs: rest });
}

/** Citty's text, coloured on a terminal only. */
async function usage(command: CommandDef, parent?: CommandDef): Promise<string> {
  const text = await renderUsage(command, parent);
  return process.stdout.isTTY && process.stderr.isTTY ? text : stripVTControlCharacters(text);
}

function examplesOf(name: string): string {
  const lines = examples[name];
  return lines === undefined ? "" : `\nEXAMPLES\n\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}

/** What citty lets pass: options it does not know, options without their value, too many arguments. */
function problemWith(rawArgs: string[], command: CommandDef): string | undefined {
  const definitions = (command.args ?? {}) as ArgsDef;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs(rawArgs, definitions);
  } catch (thrown) {
    return messageOf(thrown);
  }
  const { _: positionals, ...options } = parsed;
  for (const [option, value] of Object.entries(options)) {
    const definition = Object.entries(definitions).find(
      ([name, known]) => name === option || ("alias" in known && known.alias === option),
    )?.[1];
    const dashed = option.length === 1 ? `-${option}` : `--${option}`;
    if (!definition) return `unknown option ${dashed}`;
    if (definition.type === "string" && value === "") return `${dashed} needs a value`;
  }
  const places = Object.values(definitions).filter(({ type }) => type === "positional").length;
  const open = Object.values(definitions).some(({ type, valueHint }) => type === "positional" && valueHint === "...");
  if (!open && positionals.length > places) return `unexpected argument ${JSON.stringify(positionals[places])}`;
  return undefined;
}

try {
  await run(process.argv.slice(2));
} catch (thrown) {
  const known = thrown instanceof UserError;
  console.error(known ? thrown.message : thrown);
  process.exit(known ? thrown.exitCode : 1);
}
