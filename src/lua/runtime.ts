import type { Connection, Payload } from "../hub/connection.ts";
import { BufferObject, createBufferObject } from "./buffer-object.ts";
import { Client } from "./client.ts";
import { endContextWaits } from "./context-wait.ts";
import { setWaiting } from "./coroutines.ts";
import { Mailbox } from "./mailbox.ts";
import { RedisPools } from "./mix/redis-pool.ts";
import { Reload } from "./reload.ts";
import type { Handshake, Script, ScriptOptions, ScriptStats, StreamConnection } from "./script.ts";
import type { LuaState } from "./state.ts";
import { CALLBACKS, type CallbackName, entryName, Vm } from "./vm.ts";
import { setCurrent } from "./wait.ts";

/** Loads an entry script. Throws a UserError, `script:line: message`, when it cannot serve connections. */
export function loadScript(options: ScriptOptions): Script {
  return new Runtime(options);
}

const encoder = new TextEncoder();

class Runtime implements Script {
  readonly stats: ScriptStats;
  onClosed: (connection: Connection) => void = () => {};

  readonly #options: ScriptOptions;
  readonly #redis: RedisPools;
  readonly #reload: Reload;
  #vm: Vm;
  /** Pieces of Lua that run, one inside the other. */
  #depth = 0;
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
    const files = new Map<string, string>();
    this.#vm = this.#createVm(files);
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
    const vm = this.#vmOf(client);
    const { L } = vm;
    if (typeof data === "string") L.pushText(data);
    else L.pushBytes(data);
    const encoded = this.#encode(L, L.getTop(), connection);
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
    if (this.#depth > 0) this.#schedule(client);
    else {
      this.#continue(client);
      this.#settle(client);
    }
  }

  // ---- whose turn it is

  /** True while something of this connection runs, waits or is ahead of what comes in now. */
  #isBusy(client: Client): boolean {
    return client.thread !== undefined || this.#depth > 0 || client.scheduled || client.mailbox !== undefined;
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
    this.#options.host.log.warn(
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
    if (this.#depth === 0) this.#runScheduled();
  }

  #runScheduled(): void {
    for (let client = this.#scheduled.shift(); client !== undefined; client = this.#scheduled.shift()) {
      client.scheduled = false;
      if (client.wait?.results !== undefined) this.#continue(client);
      this.#advance(client);
    }
  }

  /** Does all that can be done for this connection now, then for those that were waiting for it. */
  #settle(client: Client): void {
    if (this.#depth > 0) this.#schedule(client);
    else {
      this.#advance(client);
      if (this.#scheduled.length > 0) this.#runScheduled();
    }
  }

  #advance(client: Client): void {
    while (client.thread === undefined) {
      if (client.opening !== undefined) this.#runOpening(client, client.opening.handshake);
      else if (client.mailbox !== undefined) this.#runWaiting(client, client.mailbox);
      else if (client.inputPending) this.#readPackets(client);
      else if (client.disconnected && !client.closeStarted) this.#runClose(client);
      else break;
    }
    if (client.thread === undefined) this.#rest(client);
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
    const vm = this.#vmOf(client);
    const name = this.#options.protocol === "websocket" ? "on_handshake" : "on_connect";
    const thread = this.#thread(vm, name);
    if (thread === undefined) return;
    thread.pushText(String(client.connection.id));
    if (handshake !== undefined) pushHandshake(thread, handshake);
    client.pushConnection(thread);
    this.#start(client, name, thread);
  }

  #runMessage(client: Client, data: Payload): void {
    const vm = this.#vmOf(client);
    const thread = this.#thread(vm, "on_message")!;
    thread.newTable();
    thread.pushKey(typeof data === "string" ? "text" : "binary");
    thread.rawSetField(-2, "type");
    if (typeof data === "string") thread.pushText(data);
    else thread.pushBytes(data);
    thread.rawSetField(-2, "data");
    thread.pushBoolean(true);
    thread.rawSetField(-2, "finish");
    client.pushConnection(thread);
    this.#start(client, "on_message", thread);
  }

  #runClose(client: Client): void {
    client.closeStarted = true;
    const vm = this.#vmOf(client);
    const thread = this.#thread(vm, "on_close");
    if (thread === undefined) return;
    thread.pushText(String(client.connection.id));
    const reason = client.connection.closeReason;
    if (reason === undefined) thread.pushNil();
    else thread.pushText(reason);
    client.pushConnection(thread);
    this.#start(client, "on_close", thread);
  }

  /** A thread with the callback's function on it; `undefined` when the script does not define it. */
  #thread(vm: Vm, name: CallbackName): LuaState | undefined {
    const ref = vm.functionRef(name);
    if (ref === undefined) return undefined;
    const thread = vm.takeThread();
    thread.pushRef(ref);
    return thread;
  }

  #start(client: Client, name: CallbackName, thread: LuaState): void {
    client.thread = thread;
    client.callback = name;
    this.stats.callbacks[name]!.count++;
    this.#resume(client, thread, thread.getTop() - 1);
  }

  #continue(client: Client): void {
    const thread = client.thread!;
    client.wait = undefined;
    setWaiting(thread, false);
    this.stats.suspended--;
    this.#resume(client, thread, 0);
  }

  #resume(client: Client, thread: LuaState, args: number): void {
    const vm = client.vm!;
    const { budget } = vm;
    const before = setCurrent(client);
    const started = performance.now();
    budget.enter(thread, started);
    this.#depth++;
    const status = thread.resume(args);
    this.#depth--;
    budget.leave();
    setCurrent(before);
    this.stats.callbacks[client.callback]!.seconds += (performance.now() - started) / 1000;

    if (status === "yield" && client.wait !== undefined) {
      this.stats.suspended++;
      setWaiting(thread, true);
      this.#pause(client);
      return;
    }
    client.thread = undefined;
    if (status === "ok") {
      const refused = client.callback === "on_handshake" && thread.type(1) === "boolean" && !thread.toBoolean(1);
      vm.returnThread(thread);
      // Last, because the connection may end at once, with its on_close.
      if (refused) client.connection.close(1008, "refused by the script");
    } else if (status === "error") {
      const message = thread.toText(-1) ?? `(error object is a ${thread.type(-1)} value)`;
      this.#failed(client, client.callback, thread.traceback(message));
    } else {
      this.#failed(client, client.callback, thread.traceback("coroutine.yield outside a coroutine"));
    }
  }

  /** What a stream client sends while its callback waits stays in its socket, so it slows down by itself. */
  #pause(client: Client): void {
    if (this.#options.protocol !== "socket" || client.paused) return;
    client.paused = true;
    (client.connection as StreamConnection).pauseReading();
  }

  #failed(client: Client, name: CallbackName, message: string): void {
    const stats = this.stats.callbacks[name]!;
    stats.errors++;
    if (client.vm!.budget.exceeded) stats.timeouts++;
    this.#options.host.log.error(`${name} of client ${client.connection.id} failed: ${message}`);
  }

  // ---- the stream protocol, on the main thread

  #readPackets(client: Client): void {
    client.inputPending = false;
    const connection = client.connection as StreamConnection;
    const { buffer } = connection;
    while (!connection.dismissed && buffer.length > 0 && buffer.length >= client.wanted) {
      const length = this.#packetLength(client, connection);
      if (length === undefined || length === 0) return;
      if (length > buffer.length) {
        client.wanted = length;
        return;
      }
      client.wanted = 0;
      if (!this.#decode(client, buffer.read(length)!)) return;
      if (client.thread !== undefined) {
        client.inputPending = buffer.length > 0;
        return;
      }
    }
  }

  /** What `protocol_input` says; `undefined` when the connection was closed over it. */
  #packetLength(client: Client, connection: StreamConnection): number | undefined {
    const vm = this.#vmOf(client);
    const { L } = vm;
    L.pushRef(vm.functionRef("protocol_input")!);
    const buffer = this.#bufferObjectOf(vm);
    buffer.object.open(connection.buffer);
    L.pushRef(buffer.ref);
    client.pushConnection(L);
    const ok = this.#call(client, "protocol_input", 2);
    buffer.object.close();
    const length = L.type(-1) === "number" ? L.toNumber(-1)! : Number.NaN;
    const found = L.toText(-1) ?? `a ${L.type(-1)}`;
    L.pop();
    if (ok && length >= 0 && Number.isInteger(length)) return length;
    if (ok && length === -1) this.#breakOff(client, "the script found a protocol error (protocol_input answered -1)");
    else if (ok) {
      const expected = "protocol_input has to answer a packet length, 0 to wait for more or -1 to close";
      this.#failed(client, "protocol_input", `${expected}, it answered ${found}`);
      this.#breakOff(client, "protocol_input failed");
    } else this.#breakOff(client, "protocol_input failed");
    return undefined;
  }

  /** Decodes one packet and runs `on_message` on what comes out; false when the connection was closed over it. */
  #decode(client: Client, packet: Uint8Array): boolean {
    const vm = this.#vmOf(client);
    const { L } = vm;
    const ref = vm.functionRef("protocol_decode");
    if (ref !== undefined) L.pushRef(ref);
    L.pushBytes(packet);
    if (ref !== undefined) {
      client.pushConnection(L);
      if (!this.#call(client, "protocol_decode", 2)) {
        L.pop();
        this.#breakOff(client, "protocol_decode failed");
        return false;
      }
    }
    if (L.type(-1) === "nil") {
      L.pop();
      return true;
    }
    const thread = this.#thread(vm, "on_message")!;
    L.moveTo(thread, 1);
    client.pushConnection(thread);
    this.#start(client, "on_message", thread);
    return true;
  }

  /** Where a packet ends is not known any more, so nothing that follows can be read. */
  #breakOff(client: Client, reason: string): void {
    const { connection } = client;
    connection.closeReason ??= reason;
    this.#options.host.log.debug(`client ${connection.id} is closed: ${reason}`);
    (connection as StreamConnection).buffer.clear();
    connection.close(1002, reason);
  }

  #encode(L: LuaState, index: number, connection: Connection): Uint8Array | { error: string } {
    const client = connection.script;
    if (!(client instanceof Client) || !connection.open) return { error: `connection ${connection.id} has closed` };
    const vm = this.#vmOf(client);
    const ref = vm.functionRef("protocol_encode");
    if (ref === undefined) {
      const bytes = L.toBytes(index);
      return bytes ?? { error: `a ${L.type(index)} cannot be sent: the script defines no protocol_encode` };
    }
    vm.L.pushRef(ref);
    L.pushValue(index);
    if (L !== vm.L) L.moveTo(vm.L, 1);
    client.pushConnection(vm.L);
    const ok = this.#call(client, "protocol_encode", 2);
    const type = vm.L.type(-1);
    const bytes = ok && type === "string" ? vm.L.toBytes(-1)! : encoder.encode(vm.L.toText(-1));
    vm.L.pop();
    if (!ok) return { error: `protocol_encode failed: ${new TextDecoder().decode(bytes).split("\n", 1)}` };
    if (type === "string" && bytes.length > 0) return bytes;
    return {
      error: `protocol_encode answered ${type === "string" ? "an empty string" : `a ${type}`}, expected a string`,
    };
  }

  /** Calls the function and `args` arguments on the main thread: one result, or the message of an error that was logged. */
  #call(client: Client, name: CallbackName, args: number): boolean {
    const { L, budget } = client.vm!;
    const stats = this.stats.callbacks[name]!;
    stats.count++;
    const before = setCurrent(client);
    const started = performance.now();
    budget.enter(L, started);
    this.#depth++;
    const status = L.protectedCall(args, 1, true);
    this.#depth--;
    budget.leave();
    setCurrent(before);
    stats.seconds += (performance.now() - started) / 1000;
    if (status === "error") this.#failed(client, name, L.toText(-1) ?? "");
    return status === "ok";
  }

  // ---- VMs

  readonly #buffers = new WeakMap<Vm, { object: BufferObject; ref: number }>();

  #bufferObjectOf(vm: Vm): { object: BufferObject; ref: number } {
    let buffer = this.#buffers.get(vm);
    if (buffer === undefined) {
      const object = new BufferObject();
      buffer = { object, ref: createBufferObject(vm.L, object) };
      this.#buffers.set(vm, buffer);
    }
    return buffer;
  }

  /** The current VM, unless a callback of this connection still waits in an older one. */
  #vmOf(client: Client): Vm {
    if (client.vm !== this.#vm && client.thread === undefined) client.enter(this.#vm);
    return client.vm!;
  }

  #createVm(files: Map<string, string>): Vm {
    const encode = (L: LuaState, index: number, connection: Connection) => this.#encode(L, index, connection);
    return new Vm(this.#options, this.#redis, encode, files);
  }

  /** Tries the files as they are now; the old VM stays when they are broken. */
  #replaceVm(files: Map<string, string>): void {
    const { log } = this.#options.host;
    try {
      this.#vm = this.#createVm(files);
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

/** The `headers` and `server` arguments of `on_handshake`. */
function pushHandshake(L: LuaState, handshake: Handshake): void {
  L.newTable();
  for (const [name, value] of Object.entries(handshake.headers)) {
    L.pushText(name);
    L.pushText(value);
    L.rawSet(-3);
  }
  // Names arrive in lower case; a script may write them as they are usually written.
  L.newTable();
  L.pushFunction(findHeader);
  L.setField(-2, "__index");
  L.setMetatable(-2);
  L.newTable();
  for (const [key, value] of [
    ["Method", handshake.method],
    ["RequestUri", handshake.requestUri],
    ["ServerProtocol", handshake.serverProtocol],
    ["Host", handshake.host],
    ["RemoteAddr", handshake.remoteAddr],
  ] as const) {
    L.pushText(value);
    L.rawSetField(-2, key);
  }
}

function findHeader(L: LuaState): number {
  const name = L.toText(2);
  if (name === undefined) L.pushNil();
  else {
    L.pushText(name.toLowerCase());
    L.rawGet(1);
  }
  return 1;
}
