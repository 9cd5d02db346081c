import { dlopen, FFIType } from "bun:ffi";
import { readdirSync, readFileSync } from "node:fs";

/** Linux reports process times in ticks of 1/100 s on every architecture (USER_HZ, proc(5)). */
const TICKS_PER_SECOND = 100;

/** The fields of /proc/<pid>/stat after the command name, which may itself hold spaces and brackets; undefined when the process is gone. */
function stat(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** The C library's `clock_gettime`, where there is the GNU one. */
const clockGettime = openClock();

function openClock() {
  try {
    return dlopen("libc.so.6", { clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 } }).symbols
      .clock_gettime;
  } catch {
    return undefined;
  }
}

const timespec = new BigInt64Array(2);

/** The CPU clock of another process (CPUCLOCK_SCHED in Linux's posix-timers.h): nanoseconds where /proc has hundredths of a second. */
function cpuClock(pid: number): number | undefined {
  if (clockGettime?.((~pid << 3) | 2, timespec) !== 0) return undefined;
  return Number(timespec[0]) + Number(timespec[1]) / 1e9;
}

/** User and system time each of these processes has used, all threads, in seconds. */
export function cpuSeconds(pids: readonly number[]): number[] {
  return pids.map((pid) => {
    const exact = cpuClock(pid);
    if (exact !== undefined) return exact;
    const fields = stat(pid);
    if (fields === undefined) throw new Error(`process ${pid} is gone: it was to be measured`);
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  });
}

/** What each of these processes has used since `cpuSeconds` was `before`. */
export function cpuSecondsSince(before: readonly number[], pids: readonly number[]): number[] {
  return cpuSeconds(pids).map((used, i) => used - before[i]!);
}

/** Resident memory of these processes, in bytes. */
export function residentBytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
    kilobytes += Number(line?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

/** `pid` and all its descendants. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(stat(Number(name))?.[1]);
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [Number(name)]);
    else siblings.push(Number(name));
  }
  const tree = [pid];
  for (const member of tree) tree.push(...(children.get(member) ?? []));
  return tree;
}
