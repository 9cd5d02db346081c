import type { Connection, Payload } from "../hub/connection.ts";
import { ThrottledLog } from "../throttled-log.ts";
import { Client } from "./client.ts";
import { endContextWaits, wakeContextWaits } from "./context-wait.ts";
import { Execution } from "./execution.ts";
import { pushHandshake } from "./handshake.ts";
import { Mailbox } from "./mailbox.ts";
import { RedisPools } from "./mix/redis-pool.ts";
import { Reload } from "./reload.ts";
import type { Handshake, Script, ScriptOptions, ScriptStats, StreamConnection } from "./script.ts";
import type { LuaState } from "./state.ts";
import { StreamProtocol } from "./stream-protocol.ts";
import { CALLBACKS, entryName, Vm } from "./vm.ts";

/** Log lines for one error of a script in ten seconds; a callback that fails fails for every message. */
const LINES_OF_A_KIND = 20;

/** Loads an entry script. Throws a UserError, `script:line: message`, when it cannot serve connections. */
export function loadScript(options: ScriptOptions): Script {
  return new Runtime(options);
}

class Runtime implements Script {
  readonly stats: ScriptStats;
  onClosed: (connection: Connection) => void = () => {};

  readonly #options: ScriptOptions;
  readonly #redis: RedisPools;
  readonly #reload: Reload;
  readonly #execution: Execution;
  readonly #stream: StreamProtocol;
  readonly #throttled: ThrottledLog;
  /** Connections whose turn came while Lua was running. */
  #scheduled: Client[] = [];

  constructor(options: ScriptOptions) {
    this.#options = options;
    const names = CALLBACKS[options.protocol];
    this.stats = {
      callbacks: Object.fromEntries(names.map((name) => [name, { count: 0, seconds: 0, errors: 0, timeouts: 0 }])),
      reloads: 0,
      reloadErrors: 0,
      lastReloadError: "",
      mailboxOverflows: 0,
      suspended: 0,
    };
    this.#redis = new RedisPools(options.host.redis);
    this.#throttled = new ThrottledLog(options.host.log, LINES_OF_A_KIND);
    // The scripts of a node share its hub, and this function: a connection leads to those that wait, whatever their script.
    options.host.hub.onContext = wakeContextWaits;
    const files = new Map<string, string>();
    this.#execution = new Execution(this.#createVm(files), this.stats, this.#throttled);
    this.#stream = new StreamProtocol(this.#execution, options.host.log);
    this.#reload = new Reload(options.byteCodeExpires, files, (read) => this.#replaceVm(read));
  }

  opened(connection: Connection, handshake?: Handshake): void {
    const client = new Client(connection, this);
    connection.script = client;
    client.opening = { handshake };
    this.#settle(client);
  }

  message(connection: Connection, data: Payload): void {
    const client = connection.script;
    if (!(client instanceof Client)) return;
    if (this.#isBusy(client)) {
      this.#enqueue(client, data);
      return;
    }
    this.#runMessage(client, data);
    this.#settle(client);
  }

  received(connection: StreamConnection): void {
    const client = connection.script;
    if (!(client instanceof Client)) return;
    client.inputPending = true;
    this.#settle(client);
  }

  encode(connection: Connection, data: Payload): Uint8Array | { error: string } {
    const client = connection.script;
    if (!(client instanceof Client)) return { error: `connection ${connection.id} has closed` };
    const vm = this.#execution.vmOf(client);
    const { L } = vm;
    if (typeof data === "string") L.pushText(data);
    else L.pushBytes(data);
    const encoded = this.#stream.encode(L, L.getTop(), connection);
    L.pop();
    return encoded;
  }

  closed(connection: Connection): void {
    const client = connection.script;
    if (!(client instanceof Client)) {
      this.onClosed(connection);
      return;
    }
    if (client.disconnected) return;
    client.disconnected = true;
    client.wait?.close();
    endContextWaits(client);
    this.#settle(client);
  }

  async stop(): Promise<void> {
    this.#reload.stop();
    this.#redis.stop();
  }

  /** Goes on with a callback whose wait has ended. */
  wake(client: Client): void {
    if (this.#execution.active) this.#schedule(client);
    else {
      this.#execution.continue(client);
      this.#settle(client);
    }
  }

  // ---- whose turn it is

  /** True while something of this connection runs, waits or is ahead of what comes in now. */
  #isBusy(client: Client): boolean {
    return client.thread !== undefined || this.#execution.active || client.scheduled || client.mailbox !== undefined;
  }

  #enqueue(client: Client, data: Payload): void {
    const limit = this.#options.mailbox;
    client.mailbox ??= new Mailbox();
    if (client.mailbox.push(data, limit)) {
      if (client.thread === undefined) this.#schedule(client);
      return;
    }
    this.stats.mailboxOverflows++;
    const { connection, mailbox } = client;
    this.#throttled.warn(
      "mailbox",
      `client ${connection.id} is closed: ${mailbox.length} messages (${mailbox.bytes} bytes) wait for its ${client.callback}, ` +
        `the limit is ${limit.messages} messages or ${limit.bytes} bytes`,
    );
    connection.close(1008, "too many messages are waiting");
  }

  /** Gives the connection its turn once the Lua that runs has returned. */
  #schedule(client: Client): void {
    if (client.scheduled) return;
    client.scheduled = true;
    this.#scheduled.push(client);
    if (!this.#execution.active) this.#runScheduled();
  }

  #runScheduled(): void {
    for (let client = this.#scheduled.shift(); client !== undefined; client = this.#scheduled.shift()) {
      client.scheduled = false;
      if (client.wait?.results !== undefined) this.#execution.continue(client);
      this.#advance(client);
    }
  }

  /** Does all that can be done for this connection now, then for those that were waiting for it. */
  #settle(client: Client): void {
    if (this.#execution.active) this.#schedule(client);
    else {
      this.#advance(client);
      if (this.#scheduled.length > 0) this.#runScheduled();
    }
  }

  #advance(client: Client): void {
    while (client.thread === undefined) {
      if (client.opening !== undefined) this.#runOpening(client, client.opening.handshake);
      else if (client.mailbox !== undefined) this.#runWaiting(client, client.mailbox);
      else if (client.inputPending) this.#stream.readPackets(client);
      else if (client.disconnected && !client.closeStarted) this.#runClose(client);
      else break;
    }
    if (client.thread === undefined) this.#rest(client);
    else if (this.#options.protocol === "socket") this.#pause(client);
  }

  /** Nothing is left to do for this connection, for now or for good. */
  #rest(client: Client): void {
    if (client.paused) {
      client.paused = false;
      (client.connection as StreamConnection).resumeReading();
    }
    if (!client.closeStarted || client.vm === undefined) return;
    client.leave();
    this.onClosed(client.connection);
  }

  /** What a stream client sends while its callback waits stays in its socket, so it slows down by itself. */
  #pause(client: Client): void {
    if (client.paused) return;
    client.paused = true;
    (client.connection as StreamConnection).pauseReading();
  }

  #runWaiting(client: Client, mailbox: Mailbox): void {
    if (client.connection.dismissed) {
      client.mailbox = undefined;
      return;
    }
    const message = mailbox.shift();
    if (mailbox.length === 0) client.mailbox = undefined;
    if (message !== undefined) this.#runMessage(client, message);
  }

  // ---- callbacks, each in a coroutine

  #runOpening(client: Client, handshake: Handshake | undefined): void {
    client.opening = undefined;
    const vm = this.#execution.vmOf(client);
    const name = this.#options.protocol === "websocket" ? "on_handshake" : "on_connect";
    const thread = this.#execution.thread(vm, name);
    if (thread === undefined) return;
    thread.pushText(String(client.connection.id));
    if (handshake !== undefined) pushHandshake(thread, handshake);
    client.pushConnection(thread);
    this.#execution.start(client, name, thread);
  }

  #runMessage(client: Client, data: Payload): void {
    const vm = this.#execution.vmOf(client);
    const thread = this.#execution.thread(vm, "on_message")!;
    thread.newTable();
    thread.pushKey(typeof data === "string" ? "text" : "binary");
    thread.rawSetField(-2, "type");
    if (typeof data === "string") thread.pushText(data);
    else thread.pushBytes(data);
    thread.rawSetField(-2, "data");
    thread.pushBoolean(true);
    thread.rawSetField(-2, "finish");
    client.pushConnection(thread);
    this.#execution.start(client, "on_message", thread);
  }

  #runClose(client: Client): void {
    client.closeStarted = true;
    const vm = this.#execution.vmOf(client);
    const thread = this.#execution.thread(vm, "on_close");
    if (thread === undefined) return;
    thread.pushText(String(client.connection.id));
    const reason = client.connection.closeReason;
    if (reason === undefined) thread.pushNil();
    else thread.pushText(reason);
    client.pushConnection(thread);
    this.#execution.start(client, "on_close", thread);
  }

  // ---- VMs

  /** A VM with the script loaded and initialised. */
  #createVm(files: Map<string, string>): Vm {
    const encode = (L: LuaState, index: number, connection: Connection) => this.#stream.encode(L, index, connection);
    const vm = new Vm(this.#options, this.#redis, encode, files);
    vm.init(this.stats.callbacks.init!);
    return vm;
  }

  /** Tries the files as they are now; the old VM stays when they are broken. */
  #replaceVm(files: Map<string, string>): void {
    const { log } = this.#options.host;
    try {
      this.#execution.vm = this.#createVm(files);
      this.stats.reloads++;
      this.stats.lastReloadError = "";
      log.info(`reloaded ${entryName(this.#options)}`);
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      this.stats.reloadErrors++;
      this.stats.lastReloadError = message;
      log.error(`the script has changed but does not load, the old one stays: ${message}`);
    }
  }
}
