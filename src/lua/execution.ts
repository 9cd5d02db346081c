import type { ThrottledLog } from "../throttled-log.ts";
import type { Client } from "./client.ts";
import { setWaiting } from "./coroutines.ts";
import { errorText } from "./error-text.ts";
import type { ScriptStats } from "./script.ts";
import type { LuaState } from "./state.ts";
import type { CallbackName, Vm } from "./vm.ts";
import { setCurrent } from "./wait.ts";

/** Characters of an error that go to the log; a script may raise one of any length. */
const MAX_ERROR = 8192;

/** Runs a script's Lua: callbacks in coroutines, the functions of a stream protocol on the main thread. Errors are logged here. */
export class Execution {
  /** The VM that new callbacks run in. */
  vm: Vm;
  /** When the last piece of Lua ended, of `performance.now()`. */
  ended = 0;
  /** Pieces of Lua that run, one inside the other. */
  #depth = 0;

  constructor(
    vm: Vm,
    private readonly stats: ScriptStats,
    private readonly failures: ThrottledLog,
  ) {
    this.vm = vm;
  }

  /** True while Lua is running. */
  get active(): boolean {
    return this.#depth > 0;
  }

  /** The current VM, unless a callback of this connection still waits in an older one. */
  vmOf(client: Client): Vm {
    if (client.vm !== this.vm && client.thread === undefined) client.enter(this.vm);
    return client.vm!;
  }

  /** A thread with the callback's function on it; `undefined` when the script does not define it. */
  thread(vm: Vm, name: CallbackName): LuaState | undefined {
    const ref = vm.functionRef(name);
    if (ref === undefined) return undefined;
    const thread = vm.takeThread();
    thread.pushRef(ref);
    return thread;
  }

  /** `now` is of `performance.now()`: a caller that knows it spares a look at the clock, which costs as much as a short script. */
  start(client: Client, name: CallbackName, thread: LuaState, now?: number): void {
    client.thread = thread;
    client.callback = name;
    this.stats.callbacks[name]!.count++;
    this.#resume(client, thread, thread.getTop() - 1, now);
  }

  continue(client: Client): void {
    const thread = client.thread!;
    client.wait = undefined;
    setWaiting(thread, false);
    this.stats.suspended--;
    this.#resume(client, thread, 0);
  }

  #resume(client: Client, thread: LuaState, args: number, started = performance.now()): void {
    const vm = client.vm!;
    const { budget } = vm;
    const before = setCurrent(client);
    budget.enter(thread, started);
    this.#depth++;
    const status = thread.resume(args);
    const message = status === "error" ? this.#messageOf(vm, thread) : undefined;
    this.#depth--;
    budget.leave();
    setCurrent(before);
    this.ended = performance.now();
    this.stats.callbacks[client.callback]!.seconds += (this.ended - started) / 1000;

    if (status === "yield" && client.wait !== undefined) {
      this.stats.suspended++;
      setWaiting(thread, true);
      return;
    }
    client.thread = undefined;
    if (status === "ok") {
      const refused = client.callback === "on_handshake" && thread.type(1) === "boolean" && !thread.toBoolean(1);
      vm.returnThread(thread);
      // Last, because the connection may end at once, with its on_close.
      if (refused) client.connection.close(1008, "refused by the script");
    } else this.failed(client, client.callback, thread.traceback(message ?? "coroutine.yield outside a coroutine"));
  }

  /** A thread that has failed cannot run the `__tostring` of its error: the main thread does, in what is left of the budget. */
  #messageOf(vm: Vm, thread: LuaState): string {
    const text = thread.toText(-1);
    if (text !== undefined) return text;
    thread.moveTo(vm.L, 1);
    const message = errorText(vm.L);
    vm.L.pop();
    return message;
  }

  failed(client: Client, name: CallbackName, message: string): void {
    const stats = this.stats.callbacks[name]!;
    stats.errors++;
    if (client.vm!.budget.exceeded) stats.timeouts++;
    const bounded = message.length > MAX_ERROR ? `${message.slice(0, MAX_ERROR)}…` : message;
    const end = bounded.indexOf("\n");
    const kind = `${name} ${end < 0 ? bounded : bounded.slice(0, end)}`;
    this.failures.error(kind, `${name} of client ${client.connection.id} failed: ${bounded}`);
  }

  /** Calls the function and `args` arguments on the main thread: one result, or the message of an error that was logged. */
  call(client: Client, name: CallbackName, args: number, started = performance.now()): boolean {
    const { L, budget } = client.vm!;
    const stats = this.stats.callbacks[name]!;
    stats.count++;
    const before = setCurrent(client);
    budget.enter(L, started);
    this.#depth++;
    const status = L.protectedCall(args, 1, true);
    this.#depth--;
    budget.leave();
    setCurrent(before);
    this.ended = performance.now();
    stats.seconds += (this.ended - started) / 1000;
    if (status === "error") this.failed(client, name, L.toText(-1) ?? "");
    return status === "ok";
  }
}
