import type { HostFunction, LuaState } from "./state.ts";

/** Ends a wait: `push` puts the results on the stack of the callback that waited and returns how many. */
export type Done = (push: HostFunction) => void;

/** A callback that is running; the runtime sets it as the current one around every piece of Lua it runs. */
export interface Waiting {
  /** The wait the callback is suspended in. */
  wait: Wait | undefined;
  /** True once the connection has closed: nothing is worth waiting for any more. */
  readonly closed: boolean;
  /** Goes on with the callback, after its wait has ended. */
  wake(): void;
}

/** One wait of one callback. It ends once: by its `Done`, or because the connection closed. */
export class Wait {
  results: HostFunction | undefined = undefined;
  abandon: (() => void) | undefined = undefined;
  suspended = false;

  constructor(readonly callback: Waiting) {}

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

let current: Waiting | undefined;

/** Makes `callback` the one that waits belong to, or none; returns the one before. */
export function setCurrent(callback: Waiting | undefined): Waiting | undefined {
  const before = current;
  current = callback;
  return before;
}

/** The callback that is running. */
export function currentCallback(): Waiting | undefined {
  return current;
}

/**
 * Suspends the running callback, and only it, until `done` is called; other connections go on. To be returned from a host
 * function. `start` begins the work and may return a function that abandons it, which is called when the connection closes
 * first or its script is torn down. Works inside pcall and inside coroutines of the script's own.
 *
 * Where nothing may wait (`init`, `protocol_input`, `protocol_decode`, `protocol_encode`, a function called by table.sort,
 * string.gsub or a metamethod), it returns nil and an error without starting anything.
 */
export function wait(L: LuaState, start: (done: Done) => (() => void) | undefined): number {
  const callback = current;
  if (callback === undefined || !L.isYieldable()) return pushCannotWait(L);
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
    "cannot wait here: only on_connect, on_handshake, on_message and on_close may, outside table.sort, string.gsub and metamethods",
  );
  return 2;
}
