import { mkdirSync } from "node:fs";
import { basename, dirname, extname } from "node:path";
import type { Writable } from "node:stream";
import { type ConsolaReporter, createConsola } from "consola/core";
import { createStream } from "rotating-file-stream";

/** The log as every part of the program sees it; each line names the source file and line of its caller. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export type Level = keyof Log;

export interface LogOptions {
  level: Level;
  /** The file to write besides stdout, rotated daily and by size; none without it. */
  file?: { path: string; maxFiles: number; maxBytes?: number; retryMs?: number };
  /** Goes before every message: which worker writes. */
  prefix?: string;
  /** Stands in for the process's own stdout. */
  stdout?: Writable & { isTTY?: boolean };
}

/** The log as the process that owns it sees it. */
export interface OwnLog extends Log {
  /** Called with each line written, without colours. */
  onLine: (line: string) => void;
  setLevel(level: Level): void;
  /** The last lines written, oldest first. */
  recent(): readonly string[];
  /** Resolves when everything has reached stdout and the file. */
  close(): Promise<void>;
}

/** Consola's numbers. */
const LEVELS: Record<Level, number> = { error: 0, warn: 1, info: 3, debug: 4 };
const COLOURS: Record<string, number> = { error: 31, warn: 33, info: 32, debug: 90 };
const RECENT_LINES = 200;
const MAX_MESSAGE = 16_384;
const MAX_WAITING = 8 * 1024 * 1024;
const DEFAULT_MAX_BYTES = 100 * 1024 * 1024;
const DEFAULT_RETRY_MS = 30_000;

export function createLog(options: LogOptions): OwnLog {
  const prefix = options.prefix ?? "";
  const stdout = options.stdout ?? process.stdout;
  const coloured = stdout.isTTY === true && !process.env.NO_COLOR;
  const recent: string[] = [];
  const outputs = [new Output(() => stdout)];

  const reporter: ConsolaReporter = {
    log({ type, tag, args }) {
      const time = timestamp(wallClock());
      const level = type.toUpperCase().padEnd(5);
      const message = printable(prefix + String(args[0]));
      const line = `${time}  ${level} ${tag}  ${message}`;
      const [toStdout, ...toFiles] = outputs;
      toStdout!.write(coloured ? `${time}  \x1b[${COLOURS[type]}m${level}\x1b[0m ${tag}  ${message}\n` : `${line}\n`);
      for (const output of toFiles) output.write(`${line}\n`);
      recent.push(line);
      if (recent.length > RECENT_LINES) recent.shift();
      log.onLine(line);
    },
  };
  // Consola would fold repeated lines into one; every line has its own time here.
  const consola = createConsola({ level: LEVELS[options.level], reporters: [reporter], throttle: 0 });

  const write = (level: Level) => {
    function at(message: string): void {
      if (consola.level >= LEVELS[level]) consola[level]({ message, tag: callerOf(at) });
    }
    return at;
  };

  const log: OwnLog = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    onLine: () => {},
    setLevel(level) {
      consola.level = LEVELS[level];
    },
    recent: () => recent,
    close: async () => {
      await Promise.all(outputs.map((output) => output.close()));
    },
  };

  const { file } = options;
  if (file) {
    const failed = (error: Error) => log.warn(`cannot write the log file ${file.path} (${error.message}), stdout only`);
    outputs.push(new Output(() => openFile(file), file.retryMs ?? DEFAULT_RETRY_MS, failed));
  }
  return log;
}

/** `connmix.log`, rotated to `connmix-2022-03-24.1.log`. */
function openFile({ path, maxFiles, maxBytes = DEFAULT_MAX_BYTES }: NonNullable<LogOptions["file"]>): Writable {
  const folder = dirname(path);
  const extension = extname(path);
  const stem = basename(path, extension);
  mkdirSync(folder, { recursive: true });
  const name = (time: number | Date | null, index?: number) =>
    time === null ? stem + extension : `${stem}-${timestamp(Number(time)).slice(0, 10)}.${index}${extension}`;
  return createStream(name, {
    path: folder,
    size: `${maxBytes}B`,
    interval: "1d",
    intervalBoundary: true,
    initialRotation: true,
    maxFiles,
    history: `.${stem}.history`,
  });
}

/**
 * A stream that may fail or fall behind without harm to the program. Lines it does not take are counted, and their number is
 * written when it takes lines again. One that failed is opened anew after a while: a disk does not stay full for ever.
 */
class Output {
  readonly #open: () => Writable;
  readonly #retryMs: number;
  readonly #onFailure: (error: Error) => void;
  #stream: Writable | undefined;
  #retryAt = 0;
  #failed = false;
  #missing = 0;

  constructor(open: () => Writable, retryMs = Number.POSITIVE_INFINITY, onFailure: (error: Error) => void = () => {}) {
    this.#open = open;
    this.#retryMs = retryMs;
    this.#onFailure = onFailure;
    this.#start();
  }

  write(line: string): void {
    if (this.#stream === undefined && performance.now() >= this.#retryAt) this.#start();
    const stream = this.#stream;
    const missing = this.#missing;
    if (stream === undefined || stream.writableLength > MAX_WAITING) this.#missing++;
    else if (missing === 0) stream.write(line);
    else {
      this.#missing = 0;
      stream.write(`(${missing} lines are missing here: they could not be written)\n${line}`, (error) => {
        if (error) this.#missing += missing + 1;
        else this.#failed = false;
      });
    }
  }

  async close(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.once("error", () => resolve());
    if (stream === process.stdout) stream.write("", () => resolve());
    else stream.end(() => resolve());
    await promise;
  }

  #start(): void {
    try {
      const stream = this.#open();
      stream.on("error", (error) => {
        if (this.#stream === stream) this.#failedWith(error);
      });
      this.#stream = stream;
    } catch (thrown) {
      this.#failedWith(thrown as Error);
    }
  }

  #failedWith(error: Error): void {
    this.#stream = undefined;
    this.#retryAt = performance.now() + this.#retryMs;
    if (this.#failed) return;
    this.#failed = true;
    this.#onFailure(error);
  }
}

/** Frames looked at: the caller may have gone through the throttled log. */
const CALLER_DEPTH = 4;
/** Stands between a line and who wrote it. */
const THROTTLE = /throttled-log\.ts$/;

/** File and line of the code that called `below`, as a path under `src`. */
function callerOf(below: (message: string) => void): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = CALLER_DEPTH;
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, below);
  Error.stackTraceLimit = stackTraceLimit;
  for (const [, path, line] of holder.stack?.matchAll(/([^\s()]+):(\d+):\d+\)?$/gm) ?? []) {
    if (path === undefined || THROTTLE.test(path)) continue;
    const source = Math.max(path.lastIndexOf("/src/"), path.lastIndexOf("\\src\\"));
    return `${(source >= 0 ? path.slice(source + 5) : path.replace(/^src\//, "")).replaceAll("\\", "/")}:${line}`;
  }
  return "connmix";
}

let skew = 0;

/** Milliseconds since 1970 with microseconds; follows the wall clock when that is set, or ran apart from the monotonic one. */
function wallClock(): number {
  const now = performance.timeOrigin + performance.now();
  const wall = Date.now();
  if (Math.abs(now + skew - wall) > 50) skew = wall - now;
  return now + skew;
}

/** `2022-03-24 22:01:33.194576`, local time. */
function timestamp(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const micros = String(Math.floor((milliseconds % 1000) * 1000)).padStart(6, "0");
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${micros}`
  );
}

/** Control characters, and those that reorder text on a screen. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const UNPRINTABLE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** One message as it is written: nothing in it can pass for a line of its own, since lines after the first are indented. */
function printable(message: string): string {
  const cut =
    message.length > MAX_MESSAGE
      ? `${message.slice(0, MAX_MESSAGE)}… (${message.length - MAX_MESSAGE} more characters)`
      : message;
  return cut
    .replace(UNPRINTABLE, (character) => {
      const code = character.charCodeAt(0);
      return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
    })
    .replaceAll("\n", "\n    ");
}
