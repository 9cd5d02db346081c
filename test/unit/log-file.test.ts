import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { createLog, type LogOptions } from "../../src/log.ts";
import { eventually } from "../support/eventually.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "connmix-log-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const silent = () => new Writable({ write: (_chunk, _encoding, done) => done() });

const open = (file: NonNullable<LogOptions["file"]>) => createLog({ level: "info", file, stdout: silent() });

const logs = () => readdirSync(folder).filter((name) => name.endsWith(".log"));

test("every line is in the file once the log is closed; folders are made", async () => {
  const path = join(folder, "a/b/connmix.log");
  const log = open({ path, maxFiles: 2 });
  for (let i = 0; i < 1000; i++) log.info(`line ${i}`);
  await log.close();
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines).toHaveLength(1000);
  expect(lines).toEqual(expect.arrayContaining([...log.recent()]));
});

test("a file that is there is continued", async () => {
  const path = join(folder, "connmix.log");
  writeFileSync(path, "old\n");
  const log = open({ path, maxFiles: 2 });
  log.info("new");
  await log.close();
  expect(readFileSync(path, "utf8")).toMatch(/^old\n.*new\n$/);
});

test("it is rotated by size, and old files go", async () => {
  const path = join(folder, "connmix.log");
  const log = open({ path, maxFiles: 2, maxBytes: 2000 });
  for (let i = 0; i < 100; i++) {
    log.info(`line ${i} ${"x".repeat(100)}`);
    await eventually(() => expect(readFileSync(path).length).toBeLessThan(4000));
  }
  await log.close();
  const rotated = logs().filter((name) => name !== "connmix.log");
  expect(rotated).toHaveLength(2);
  for (const name of rotated) {
    expect(name).toMatch(/^connmix-\d{4}-\d\d-\d\d\.\d+\.log$/);
    expect(statSync(join(folder, name)).size).toBeLessThan(4000);
  }
});

test("yesterday's file is put aside at the start", async () => {
  const path = join(folder, "connmix.log");
  writeFileSync(path, "yesterday\n");
  const yesterday = new Date(Date.now() - 86_400_000);
  utimesSync(path, yesterday, yesterday);
  const log = open({ path, maxFiles: 3 });
  log.info("today");
  await log.close();
  expect(logs()).toHaveLength(2);
  expect(readFileSync(path, "utf8")).not.toContain("yesterday");
  const aside = logs().find((name) => name !== "connmix.log")!;
  expect(readFileSync(join(folder, aside), "utf8")).toBe("yesterday\n");
});

test("a file that cannot be written is said once, and the log goes on without it", async () => {
  writeFileSync(join(folder, "in-the-way"), "");
  const log = open({ path: join(folder, "in-the-way/connmix.log"), maxFiles: 2 });
  log.info("one");
  await eventually(() => expect(log.recent().some((line) => line.includes("cannot write the log file"))).toBe(true));
  log.info("two");
  await log.close();
  expect(log.recent().filter((line) => line.includes("cannot write"))).toHaveLength(1);
  expect(log.recent().at(-1)).toEndWith("two");
});

test("a folder in the place of the file is no harm either", async () => {
  const log = open({ path: folder, maxFiles: 2 });
  await eventually(() => expect(log.recent()[0]).toContain("cannot write the log file"));
  log.info("goes on");
  await log.close();
  expect(log.recent()).toHaveLength(2);
});

test("a file that could not be written is written again when it can be, with the number of lines that are missing", async () => {
  const parent = join(folder, "in-the-way");
  writeFileSync(parent, "");
  const path = join(parent, "connmix.log");
  const log = open({ path, maxFiles: 2, retryMs: 20 });
  log.info("one");
  rmSync(parent);
  await eventually(() => {
    log.info("again");
    expect(existsSync(path)).toBe(true);
  });
  log.info("last");
  await log.close();
  const lines = readFileSync(path, "utf8").trimEnd().split("\n");
  expect(lines[0]).toMatch(/^\([1-9]\d* lines are missing here: they could not be written\)$/);
  expect(lines.at(-1)).toEndWith("last");
  expect(log.recent().filter((line) => line.includes("cannot write"))).toHaveLength(1);
});
