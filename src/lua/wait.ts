import type { Connection } from "../hub/connection.ts";
import type { HostFunction, LuaState } from "./state.ts";

/** Ends a wait: `push` puts the results on the stack of the callback that waited and returns how many. */
export type Done = (push: HostFunction) => void;

/** A callback that is running; the runtime sets it as the current one around every piece of Lua it runs. */
export interface RunningCallback {
  readonly connection: Connection;
  /** The wait the callback is suspended in. */
  wait: Wait | undefined;
  /** True once the connection has closed: nothing is worth waiting for any more. */
  readonly closed: boolean;
  /** Goes on with the callback, after its wait has ended. */
  wake(): void;
  /** Pushes the connection object. */
  pushConnection(L: LuaState): void;
}

/** One wait of one callback. It ends once: by its `Done`, or because the connection closed. */
export class Wait {
  results: HostFunction | undefined = undefined;
  abandon: (() => void) | undefined = undefined;
  suspended = false;

  constructor(private readonly callback: RunningCallback) {}

  end(results: HostFunction): void {
    if (this.results !== undefined) return;
    this.results = results;
    if (this.suspended) this.callback.wake();
  }

  /** Ends the wait because nobody is there any more. */
  close(): void {
    if (this.results !== undefined) return;
    this.abandon?.();
    this.end(pushClosed);
  }
}

let current: RunningCallback | undefined;
let blocked = 0;

/** Makes `callback` the one that waits belong to, or none; returns the one before. */
export function setCurrent(callback: RunningCallback | undefined): RunningCallback | undefined {
  const before = current;
  current = callback;
  return before;
}

/** The callback that is running. */
export function currentCallback(): RunningCallback | undefined {
  return current;
}

/** Brackets a coroutine that is resumed where its resumer could not be suspended with it. */
export function blockWaits(): void {
  blocked++;
}
export function unblockWaits(): void {
  blocked--;
}

/**
 * Suspends the running callback, and only it, until `done` is called; other connections go on. To be returned from a host
 * function. `start` begins the work and may return a function that abandons it, which is called when the connection closes
 * first or its script is torn down. Works inside pcall and inside coroutines of the script's own.
 *
 * Where nothing may wait (`init`, `protocol_input`, `protocol_decode`, `protocol_encode`, a function called by table.sort,
 * string.gsub or another library function), it returns nil and an error without starting anything.
 */
export function wait(L: LuaState, start: (done: Done) => (() => void) | undefined): number {
  const callback = current;
  if (callback === undefined || blocked > 0 || !L.isYieldable()) return pushCannotWait(L);
  if (callback.closed) return pushClosed(L);
  const wait = new Wait(callback);
  wait.abandon = start((push) => wait.end(push));
  if (wait.results !== undefined) return wait.results(L);
  wait.suspended = true;
  callback.wait = wait;
  return L.yield(0, (resumed) => wait.results!(resumed));
}

function pushClosed(L: LuaState): number {
  L.pushNil();
  L.pushKey("the connection has closed");
  return 2;
}

function pushCannotWait(L: LuaState): number {
  L.pushNil();
  L.pushKey(
    "cannot wait here: only on_connect, on_handshake, on_message and on_close may, outside functions that table.sort, string.gsub and the like call",
  );
  return 2;
}
