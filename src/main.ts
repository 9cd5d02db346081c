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
import { call } from "./commands/call.ts";
import { center } from "./commands/center.ts";
import { check } from "./commands/check.ts";
import { consume } from "./commands/consume.ts";
import { dev } from "./commands/dev.ts";
import { engine } from "./commands/engine.ts";
import { examples } from "./commands/examples.ts";
import { init } from "./commands/init.ts";
import { nodes } from "./commands/nodes.ts";
import { publish } from "./commands/publish.ts";
import { send } from "./commands/send.ts";
import { single } from "./commands/single.ts";
import { top } from "./commands/top.ts";
import { version } from "./commands/version.ts";
import { messageOf, UserError } from "./errors.ts";
import { NAME, VERSION, versionLine } from "./version.ts";

const commands: SubCommandsDef = {
  dev,
  single,
  center,
  engine,
  init,
  check,
  nodes,
  send,
  publish,
  consume,
  call,
  top,
  version,
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
  const command = name !== undefined && Object.hasOwn(commands, name) ? (commands[name] as CommandDef) : undefined;
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
