import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");
/** What `npm pack` needs of a checkout, so that it does not write into this one. */
const SOURCES = ["README.md", "conf", "lua", "package.json", "src", "tsconfig.client.json", "tsconfig.json"];

/** Makes `folder` a project that has installed the package which `npm pack` makes of this checkout; nothing is downloaded. */
export async function installPackage(folder: string): Promise<void> {
  const checkout = join(folder, "checkout");
  const installed = join(folder, "node_modules/connmix");
  for (const name of SOURCES) cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(checkout, "node_modules"));
  await run(["npm", "pack", "--offline", "--cache", join(folder, "cache"), "--pack-destination", folder], checkout);
  mkdirSync(installed, { recursive: true });
  const { version } = await Bun.file(join(ROOT, "package.json")).json();
  await run(["tar", "-xzf", `connmix-${version}.tgz`, "-C", installed, "--strip-components=1"], folder);
  symlinkSync(join(ROOT, "node_modules"), join(installed, "node_modules"));
}

async function run(command: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(command, { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")} failed:\n${output}${errors}`);
}
