import type { z } from "zod";
import { UserError } from "../errors.ts";
import { ConfigDocument, type Problem } from "./document.ts";
import { dotted, keyAt, type Path } from "./keys.ts";
import { type Config, configSchema } from "./schema.ts";
import type { Environment } from "./substitute.ts";

export interface ParsedConfig {
  config: Config;
  /** The line a key stands on, or the nearest key above it. */
  line(path: Path): number;
}

/**
 * Reads and validates the text of a configuration file; `file` is its name in errors. Throws a `UserError` with one line
 * for each problem: file, line, key, the value found and what was expected.
 */
export function parseConfig(text: string, file: string, environment: Environment): ParsedConfig {
  const document = new ConfigDocument(text, environment);
  const result = configSchema.safeParse(document.value ?? {});
  const problems = [...document.problems];
  const known = new Set(problems.map(({ key }) => key));
  for (const issue of result.error?.issues ?? []) {
    const problem = problemOf(issue, document);
    // A value that could not be filled in from the environment is missing as well: once is enough.
    if (!known.has(problem.key)) problems.push(problem);
  }
  if (!result.success || problems.length > 0) {
    problems.sort((a, b) => a.line - b.line);
    throw new UserError(problems.map((problem) => render(file, problem)).join("\n"));
  }
  return { config: result.data, line: (path) => document.line(path) };
}

function render(file: string, { line, key, found, expected }: Problem): string {
  return `${file}:${line}: ${key && `${key}: `}found ${found}, expected ${expected}`;
}

function problemOf(given: z.core.$ZodIssue, document: ConfigDocument): Problem {
  const issue = innermost(given);
  const { path } = issue;
  const expected = issue.code === "custom" ? issue.message : (keyAt(path)?.description ?? issue.message);
  return { line: document.line(path), key: dotted(path), found: shown(valueAt(document.value, path), path), expected };
}

/** Where one alternative of a union went wrong inside, that says more than the union does. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const inside = issue.errors.flat().find(({ path }) => path.length > 0);
  return inside === undefined ? issue : innermost({ ...inside, path: [...issue.path, ...inside.path] });
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, segment) => (typeof at === "object" && at !== null ? Reflect.get(at, segment) : undefined),
    value,
  );
}

/** Never shows what may be a secret, nor objects that may hold one. */
function shown(value: unknown, path: Path): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "an object";
  if (/password|secret/.test(String(path.at(-1)))) return value === "" ? '""' : `a ${typeof value} (not shown)`;
  const text = JSON.stringify(value).replace(/\/\/[^/]*@/, "//…@");
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
