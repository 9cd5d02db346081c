import { expect, test } from "bun:test";
import { Writable } from "node:stream";
import { createLog, type Level, type OwnLog } from "../../src/log.ts";
import { ThrottledLog } from "../../src/throttled-log.ts";

class Captured extends Writable {
  text = "";
  isTTY = false;
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

function logTo(stdout: Captured, level: Level = "debug"): OwnLog {
  return createLog({ level, stdout });
}

test("time in microseconds, level, source file and line, message", () => {
  const stdout = new Captured();
  const log = logTo(stdout);
  const before = Date.now();
  log.info("start the registry server (0.0.0.0:6786)");
  log.error("second");
  const [first, second] = stdout.text.split("\n");
  expect(first).toMatch(
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} {2}INFO {2}\S*log-lines\.test\.ts:\d+ {2}start the registry server \(0\.0\.0\.0:6786\)$/,
  );
  expect(second).toMatch(/^.{26} {2}ERROR \S*log-lines\.test\.ts:\d+ {2}second$/);
  const lineOf = (text: string) => Number(/:(\d+) {2}/.exec(text)![1]);
  expect(lineOf(second!)).toBe(lineOf(first!) + 1);
  const time = new Date(first!.slice(0, 23)).getTime();
  expect(Math.abs(time - before)).toBeLessThan(1000);
});

test("the level holds back what is below it, and changes at once", () => {
  const stdout = new Captured();
  const log = logTo(stdout, "warn");
  log.info("1");
  log.warn("2");
  log.setLevel("debug");
  log.debug("3");
  log.setLevel("error");
  log.warn("4");
  log.error("5");
  expect(log.recent().map((line) => line.at(-1))).toEqual(["2", "3", "5"]);
});

test("a message cannot forge a line or steer a terminal", () => {
  const stdout = new Captured();
  const log = logTo(stdout);
  log.warn("a\r\n2022-03-24 22:01:33.194576  INFO  x.ts:1  forged\x1b[2J\x00\u2028\u202e\x85");
  const lines = stdout.text.trimEnd().split("\n");
  expect(lines).toHaveLength(2);
  expect(lines[0]).toEndWith("a\\x0d");
  expect(lines[1]).toBe("    2022-03-24 22:01:33.194576  INFO  x.ts:1  forged\\x1b[2J\\x00\\u2028\\u202e\\x85");
});

test("a huge message is cut and says so", () => {
  const log = logTo(new Captured());
  log.info("x".repeat(20_000));
  expect(log.recent()[0]).toEndWith("x… (3616 more characters)");
});

test("the same line many times is written as often", () => {
  const log = logTo(new Captured());
  for (let i = 0; i < 50; i++) log.info("again");
  expect(log.recent()).toHaveLength(50);
});

test("the last 200 lines are kept, and each is passed on", () => {
  const log = logTo(new Captured());
  const passed: string[] = [];
  log.onLine = (line) => passed.push(line);
  for (let i = 0; i < 250; i++) log.info(`line ${i}`);
  expect(log.recent()).toHaveLength(200);
  expect(log.recent()[0]).toEndWith("line 50");
  expect(log.recent()).toEqual(passed.slice(50));
});

test("colours only on a terminal, never in what is kept", () => {
  const plain = new Captured();
  logTo(plain).info("x");
  expect(plain.text).not.toContain("\x1b");
  const terminal = new Captured();
  terminal.isTTY = true;
  const colours = process.env.NO_COLOR;
  delete process.env.NO_COLOR;
  const log = logTo(terminal);
  if (colours !== undefined) process.env.NO_COLOR = colours;
  log.info("x");
  expect(terminal.text).toContain("\x1b[32mINFO \x1b[0m");
  expect(log.recent()[0]).not.toContain("\x1b");
});

test("a reader that does not keep up costs lines, which are counted, not memory", async () => {
  let release = () => {};
  let text = "";
  const stuck = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      release = done;
    },
  });
  const log = createLog({ level: "info", stdout: stuck });
  const message = "x".repeat(16_000);
  for (let i = 0; i < 1000; i++) log.info(message);
  expect(stuck.writableLength).toBeLessThan(9 * 1024 * 1024);
  while (stuck.writableLength > 0) {
    release();
    await Bun.sleep(0);
  }
  log.info("after");
  release();
  expect(text).toMatch(/\n\(\d+ lines are missing here: they could not be written\)\n/);
});

test("a line of the throttled log names its own caller", () => {
  const stdout = new Captured();
  const throttled = new ThrottledLog(logTo(stdout));
  throttled.warn("kind", "seldom");
  expect(stdout.text).toMatch(/WARN {2}\S*log-lines\.test\.ts:\d+ {2}seldom\n$/);
});
