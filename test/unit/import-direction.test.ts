import { expect, test } from "bun:test";
import { dirname, join, relative, resolve } from "node:path";
import { Glob } from "bun";

/**
 * Imports point one way: what a part may know of is written here, and everything else is an error. A part may always use
 * itself and the leaves.
 */
const SRC = resolve(import.meta.dir, "../../src");

const LEAVES = [
  "errors",
  "faults",
  "json",
  "log",
  "client-id",
  "cluster-auth",
  "this-machine",
  "throttled-log",
  "turn",
  "version",
];
/** The composers of a node, and what starts them. */
const COMPOSERS = [
  "config",
  "engine",
  "engine-server",
  "center",
  "single",
  "node",
  "node-process",
  "main",
  "commands",
  "supervisor",
];
const MAY_IMPORT: Record<string, string[]> = {
  hub: [],
  registry: ["config"],
  config: ["builtin"],
  mesh: ["hub", "registry"],
  lua: ["hub", "mesh"],
  listen: [],
  server: ["lua", "hub", "listen"],
  api: ["hub", "mesh", "registry", "listen"],
  console: ["api", "hub", "registry"],
  metrics: ["api", "hub", "lua", "mesh", "registry", "server"],
  client: [],
};

/** The part a file belongs to: its folder, or its own name at the top level. */
function partOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : path.replace(/\.tsx?$/, "");
}

async function importsOf(path: string): Promise<string[]> {
  const source = await Bun.file(join(SRC, path)).text();
  return [...source.matchAll(/(?:from|import)\s+["'](\.[^"']+)["']/g)].map(([, target]) =>
    relative(SRC, resolve(SRC, dirname(path), target ?? "")),
  );
}

test("imports point one way", async () => {
  const wrong: string[] = [];
  let seen = 0;
  for await (const path of new Glob("**/*.ts").scan(SRC)) {
    const part = partOf(path);
    const allowed = MAY_IMPORT[part];
    for (const target of await importsOf(path)) {
      seen++;
      if (target.startsWith("..")) continue;
      const to = partOf(target);
      if (to === part) continue;
      if (allowed !== undefined && !allowed.includes(to) && !LEAVES.includes(to)) wrong.push(`${path} → ${target}`);
      if (LEAVES.includes(part) && !LEAVES.includes(to)) wrong.push(`${path} → ${target} (a leaf knows only leaves)`);
    }
  }
  expect(seen).toBeGreaterThan(50);
  expect(wrong).toEqual([]);
});

test("only the VM seam imports fengari", async () => {
  const outside: string[] = [];
  for await (const path of new Glob("**/*.ts").scan(SRC)) {
    if (/^lua\/fengari[\w-]*\.ts$/.test(path)) continue;
    if (/from\s+["']fengari|import\(["']fengari/.test(await Bun.file(join(SRC, path)).text())) outside.push(path);
  }
  expect(outside).toEqual([]);
});

test("only the composers and the command line read the configuration", async () => {
  const readers: string[] = [];
  for await (const path of new Glob("**/*.ts").scan(SRC)) {
    const part = partOf(path);
    if (COMPOSERS.includes(part)) continue;
    if ((await importsOf(path)).some((target) => target.startsWith("config/"))) readers.push(path);
  }
  expect(readers).toEqual([]);
});
