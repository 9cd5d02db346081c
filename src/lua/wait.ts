import type { HostFunction, LuaState } from "./state.ts";

/** Ends a wait: `push` puts the results on the stack of the callback that waited and returns how many. */
export type Done = (push: HostFunction) => void;

/**
 * Suspends the running callback, and only it, until `done` is called; other connections go on. To be returned from a host
 * function. `start` begins the work and may return a function that abandons it, which is called when the connection closes
 * first or its script is torn down. Works inside pcall and inside coroutines of the script's own.
 *
 * Where nothing may wait (`init`, `protocol_input`, `protocol_decode`, `protocol_encode`), it returns nil and an error.
 */
export function wait(L: LuaState, start: (done: Done) => (() => void) | undefined): number {
  void L;
  void start;
  throw new Error("not implemented");
}
