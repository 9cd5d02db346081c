import type { Connection } from "../hub/connection.ts";
import type { ContextWait } from "./context-wait.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Handshake } from "./script.ts";
import type { LuaState } from "./state.ts";
import type { CallbackName, Vm } from "./vm.ts";
import type { RunningCallback, Wait } from "./wait.ts";

/** What a connection's script state needs of the runtime. */
export interface Scheduler {
  wake(client: Client): void;
}

/**
 * A connection as the script runtime sees it, kept in `Connection.script`. It has at most one running callback, so it stands for
 * that callback too. Most connections are idle: what only some need is `undefined` until then.
 */
export class Client implements RunningCallback {
  /** The VM the handle and the thread belong to: the current one, or an older one while a callback there still waits. */
  vm: Vm | undefined = undefined;
  /** The connection object in that VM. */
  handle = 0;
  /** The coroutine of the callback that runs or waits. */
  thread: LuaState | undefined = undefined;
  callback: CallbackName = "on_message";
  wait: Wait | undefined = undefined;
  mailbox: Mailbox | undefined = undefined;
  /** Callbacks, this connection's or another's, that wait for a context value of this connection. */
  contextWaits: ContextWait[] | undefined = undefined;
  /** `on_handshake` or `on_connect` still has to run. */
  opening: { handshake: Handshake | undefined } | undefined = undefined;
  /** Bytes the next packet needs, when `protocol_input` has said so. */
  wanted = 0;
  /** What still has to be done, or has begun. */
  inputPending = false;
  paused = false;
  scheduled = false;
  disconnected = false;
  closeStarted = false;

  constructor(
    readonly connection: Connection,
    private readonly scheduler: Scheduler,
  ) {}

  /** `on_close` itself may wait, for a database say. */
  get closed(): boolean {
    return this.disconnected && !this.closeStarted;
  }

  wake(): void {
    this.scheduler.wake(this);
  }

  pushConnection(L: LuaState): void {
    L.pushRef(this.handle);
  }

  /** Moves to another VM, between two callbacks. */
  enter(vm: Vm): void {
    this.vm?.L.unref(this.handle);
    this.vm = vm;
    this.handle = vm.handleOf(this.connection);
  }

  /** After the last callback: nothing of the connection stays in the VM. */
  leave(): void {
    this.vm?.L.unref(this.handle);
    this.vm = undefined;
  }
}
