import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runCommand } from "../support/command.ts";
import { installPackage } from "../support/package.ts";

const ROOT = resolve(import.meta.dir, "../..");
const project = mkdtempSync(join(tmpdir(), "connmix-package-"));
const installed = join(project, "node_modules/connmix");

beforeAll(async () => {
  await installPackage(project);
});
afterAll(() => rmSync(project, { recursive: true }));

test("the package is the gateway and the client library, without what only developers need", () => {
  expect(readdirSync(installed).toSorted()).toEqual([
    "README.md",
    "conf",
    "dist",
    "lua",
    "node_modules",
    "package.json",
    "src",
  ]);
  expect(readdirSync(join(installed, "dist"))).toEqual(["client"]);
});

test("every file that package.json names is in it", async () => {
  const { bin, exports } = await Bun.file(join(installed, "package.json")).json();
  for (const path of [...Object.values<string>(bin), ...Object.values<string>(exports["./client"])]) {
    expect([path, existsSync(join(installed, path))]).toEqual([path, true]);
  }
});

/** How TypeScript finds a module: as Node does, or as bundlers do. */
test.each(["NodeNext", "Bundler"])("the library has its types for a project with moduleResolution %s", async (how) => {
  const folder = mkdtempSync(join(project, "types-"));
  const source = `
    import { Client, ConnmixError, type QueueEvent } from "connmix/client";
    const client: Client = new Client({ url: "http://127.0.0.1:6789" });
    export const consumer = client.consume<number>("foo", ({ data }: QueueEvent<number>) => console.log(data + 1));
    // @ts-expect-error there is no such option
    new Client({ url: "http://127.0.0.1:6789", adress: 1 });
    export const isOurs = (error: unknown) => error instanceof ConnmixError && error.code === "timeout";
  `;
  writeFileSync(join(folder, "backend.mts"), source);
  const compilerOptions = {
    target: "ES2022",
    module: how === "NodeNext" ? how : "Preserve",
    moduleResolution: how,
    strict: true,
    noEmit: true,
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules/@types")],
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions }));
  const tsc = Bun.spawn([join(ROOT, "node_modules/.bin/tsc"), "-p", folder], { stdout: "pipe" });
  expect(await new Response(tsc.stdout).text()).toBe("");
  expect(await tsc.exited).toBe(0);
});

test("the gateway runs from it, on Bun", async () => {
  const program = [process.execPath, join(installed, "src/main.ts")];
  const { code, stdout } = await runCommand(["check"], { program, cwd: project });
  expect(stdout).toContain("lua/entry.lua");
  expect(code).toBe(0);
});
