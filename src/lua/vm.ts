import { messageOf, UserError } from "../errors.ts";
import type { Connection } from "../hub/connection.ts";
import { Budget } from "./budget.ts";
import { installCompat } from "./compat.ts";
import { createConnectionType, type Encode } from "./connection-object.ts";
import { installCoroutines } from "./coroutines.ts";
import { createState } from "./fengari.ts";
import { installLoad } from "./load.ts";
import { installMix } from "./mix/mix.ts";
import type { RedisPools } from "./mix/redis-pool.ts";
import { installProtectedCalls } from "./protected-calls.ts";
import { foldersOf, installRequire, readSource, type Signature } from "./require.ts";
import { openSandbox } from "./sandbox.ts";
import type { CallbackStats, ScriptOptions } from "./script.ts";
import type { LuaState } from "./state.ts";
import { installStrings } from "./strings.ts";
import { installTables } from "./tables.ts";

/** The functions an entry script may define, by protocol. */
export const CALLBACKS = {
  websocket: ["init", "on_handshake", "on_message", "on_close"],
  socket: ["init", "on_connect", "protocol_input", "protocol_decode", "protocol_encode", "on_message", "on_close"],
} as const;

export const REQUIRED_CALLBACKS = { websocket: ["on_message"], socket: ["protocol_input", "on_message"] } as const;

export type CallbackName = (typeof CALLBACKS)["websocket" | "socket"][number];

/** Idle threads kept for the next callbacks; more exist only while more callbacks wait. */
const IDLE_THREADS = 64;

/** One VM with the entry script loaded. A reload makes a new one; this one lives until its last callback ends. */
export class Vm {
  /** The main thread: `init`, the `protocol_*` functions and everything else that may not wait run on it. */
  readonly L: LuaState;
  readonly budget: Budget;
  readonly #functions: Partial<Record<CallbackName, number>> = {};
  readonly #connectionType: number;
  readonly #idle: LuaState[] = [];

  /**
   * Reads and runs the entry; every file read is noted in `files`, also when it fails half-way. Throws a UserError that begins
   * with `script:line:`.
   */
  constructor(options: ScriptOptions, redis: RedisPools, encode: Encode, files: Map<string, Signature>) {
    const { host, protocol } = options;
    const L = createState();
    this.L = L;
    this.budget = new Budget(L, options.maxExecTime);
    openSandbox(L);
    installProtectedCalls(L, this.budget);
    installCoroutines(L, this.budget);
    installLoad(L);
    installStrings(L, this.budget);
    installTables(L, this.budget);
    installCompat(L);
    installMix(L, host, redis, this.budget);
    const entry = "path" in options.entry ? options.entry.path : undefined;
    installRequire(L, { folders: foldersOf(entry, options.libraryFolders), builtins: options.builtins }, files);
    this.#connectionType = createConnectionType(L, host.hub, protocol === "socket" ? encode : undefined);

    this.#loadEntry(options.entry, files);
    this.#resolveCallbacks(protocol, entryName(options));
  }

  /** Runs the script's `init`, if there is one. Throws a UserError as the constructor does. */
  init(stats: CallbackStats): void {
    const init = this.functionRef("init");
    if (init === undefined) return;
    const started = performance.now();
    stats.count++;
    this.L.pushRef(init);
    try {
      this.#run();
    } catch (thrown) {
      stats.errors++;
      if (this.budget.exceeded) stats.timeouts++;
      throw thrown;
    } finally {
      stats.seconds += (performance.now() - started) / 1000;
    }
  }

  /** The reference of a callback; `undefined` when the script does not define it. */
  functionRef(name: CallbackName): number | undefined {
    return this.#functions[name];
  }

  /** Makes the connection object of a connection; returns its reference. */
  handleOf(connection: Connection): number {
    const { L } = this;
    L.pushUserdata(connection);
    L.pushRef(this.#connectionType);
    L.setMetatable(-2);
    return L.ref();
  }

  takeThread(): LuaState {
    return this.#idle.pop() ?? this.L.newThread();
  }

  /** Takes back a thread whose function has returned. */
  returnThread(thread: LuaState): void {
    thread.setTop(0);
    if (this.#idle.length < IDLE_THREADS) this.#idle.push(thread);
  }

  #loadEntry(entry: ScriptOptions["entry"], files: Map<string, Signature>): void {
    let source: Uint8Array | string;
    if ("source" in entry) source = entry.source;
    else {
      try {
        source = readSource(entry.path, files);
      } catch (thrown) {
        throw new UserError(`cannot read the entry script ${entry.path}: ${messageOf(thrown)}`);
      }
    }
    const status = this.L.load(source, "source" in entry ? entry.name : entry.path);
    if (status === "error") throw new UserError(this.L.toText(-1)!);
    this.#run();
  }

  /** Calls the function on top within the budget. */
  #run(): void {
    this.budget.enter(this.L, performance.now());
    const status = this.L.protectedCall(0, 0, true);
    this.budget.leave();
    if (status === "error") throw new UserError(this.L.toText(-1)!);
  }

  #resolveCallbacks(protocol: "websocket" | "socket", name: string): void {
    const { L } = this;
    for (const callback of CALLBACKS[protocol]) {
      const type = L.getGlobal(callback);
      if (type === "function") this.#functions[callback] = L.ref();
      else L.pop();
      if (type !== "function" && type !== "nil") {
        throw new UserError(`${name}: ${callback} is a ${type}, expected a function`);
      }
    }
    const missing = REQUIRED_CALLBACKS[protocol].filter((callback) => this.#functions[callback] === undefined);
    if (missing.length > 0) {
      throw new UserError(`${name}: a ${protocol} script has to define ${missing.join(" and ")}, as a global function`);
    }
  }
}

/** What errors call the entry script. */
export function entryName(options: Pick<ScriptOptions, "entry">): string {
  return "path" in options.entry ? options.entry.path : options.entry.name;
}
