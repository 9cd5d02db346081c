import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/schema.ts";
import { type ConfigWatch, watchConfig } from "../../src/config/watch.ts";
import type { Log } from "../../src/log.ts";
import { eventually } from "../support/eventually.ts";

const BASE = "engine:\n  servers:\n    - port: 1000\n";

let folder: string;
let file: string;
let watch: ConfigWatch;
let logged: string[];
let seen: { config: Config; changed: string[] }[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "connmix-watch-"));
  file = join(folder, "c.yaml");
  logged = [];
  seen = [];
  writeFileSync(file, BASE);
  const line = (level: string) => (message: string) => logged.push(`${level} ${message}`);
  const log: Log = { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  watch = watchConfig(loadConfig(file), log, (config, changed) => seen.push({ config, changed }), 10);
});
afterEach(() => {
  watch.stop();
  rmSync(folder, { recursive: true });
});

test("a saved file is taken over by itself, also when it replaced the old one", async () => {
  writeFileSync(file, `logging: { level: debug }\n${BASE}`);
  await eventually(() => expect(seen).toHaveLength(1));
  expect(seen[0]!.changed).toEqual(["logging.level"]);
  expect(seen[0]!.config.logging.level).toBe("debug");
  expect(logged).toEqual(["info configuration reloaded: logging.level"]);

  writeFileSync(`${file}.new`, BASE);
  renameSync(`${file}.new`, file);
  await eventually(() => expect(seen).toHaveLength(2));
  expect(seen[1]!.config.logging.level).toBe("info");
});

test("users, limits of servers and the time budget change together, named by key", () => {
  writeFileSync(
    file,
    `access: { users: [{ username: a, password: b, roles: [read] }] }\n${BASE}      readTimeout: 5\n  luavm: { maxExecTime: 7 }\n`,
  );
  watch.reload();
  expect(seen).toHaveLength(1);
  const { config, changed } = seen[0]!;
  expect(changed.sort()).toEqual(["access.users", "engine.luavm.maxExecTime", "engine.servers[0].readTimeout"]);
  expect(config.access.users).toHaveLength(1);
  expect(config.engine.servers[0]!.readTimeout).toBe(5);
});

test("what needs a restart is said, with its line, and is not taken over", () => {
  writeFileSync(file, "drainTimeout: 3\nengine:\n  servers:\n    - port: 2000\n      maxConnections: 9\n");
  watch.reload();
  expect(logged).toEqual([
    `warn ${file}:1: drainTimeout changed: this takes effect at the next start`,
    `warn ${file}:4: engine.servers[0].port changed: this takes effect at the next start`,
    "info configuration reloaded: engine.servers[0].maxConnections",
  ]);
  expect(seen[0]!.config).toMatchObject({ drainTimeout: 10, engine: { servers: [{ port: 1000, maxConnections: 9 }] } });
});

test("a server more is for the next start", () => {
  writeFileSync(file, `${BASE}    - port: 2000\n`);
  watch.reload();
  writeFileSync(file, `${BASE}    - port: 2000\n      readTimeout: 3\n`);
  watch.reload();
  expect(logged).toEqual([
    `warn ${file}:2: engine.servers changed: this takes effect at the next start`,
    `warn ${file}:5: engine.servers[1].readTimeout changed: this takes effect at the next start`,
  ]);
  expect(seen).toEqual([]);
});

test("a broken edit is logged once, with file and line, and the old settings stay", async () => {
  writeFileSync(file, `${BASE}      readTimeout: soon\n`);
  await eventually(() => expect(logged).toHaveLength(1));
  expect(logged[0]).toContain(`${file}:4: engine.servers[0].readTimeout: found "soon", expected seconds`);

  writeFileSync(file, `${BASE}      readTimeout: 5\n`);
  await eventually(() => expect(seen).toHaveLength(1));
  expect(seen[0]!.changed).toEqual(["engine.servers[0].readTimeout"]);
  expect(logged).toHaveLength(2);
});

test("a file that went away changes nothing", async () => {
  rmSync(file);
  await eventually(() => expect(logged).toHaveLength(1));
  expect(logged[0]).toContain("cannot read the configuration");
  expect(seen).toEqual([]);
});

test("a file that lost its content, as on a full disk, takes nothing away", () => {
  writeFileSync(file, `access: { users: [{ username: a, password: b, roles: [read] }] }\n${BASE}`);
  watch.reload();
  writeFileSync(file, "");
  watch.reload();
  expect(seen).toHaveLength(1);
  expect(logged.at(-1)).toBe(`error the configuration was not reloaded, the old one stays:\n${file} is empty`);
});
