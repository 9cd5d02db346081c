import type { Connection } from "../hub/connection.ts";
import type { Log } from "../log.ts";
import { BufferObject, createBufferObject } from "./buffer-object.ts";
import { Client } from "./client.ts";
import type { Execution } from "./execution.ts";
import type { StreamConnection } from "./script.ts";
import type { LuaState } from "./state.ts";
import type { Vm } from "./vm.ts";

const encoder = new TextEncoder();

/** The functions by which a script frames a TCP stream: `protocol_input`, `protocol_decode` and `protocol_encode`. */
export class StreamProtocol {
  readonly #execution: Execution;
  readonly #log: Log;
  readonly #buffers = new WeakMap<Vm, { object: BufferObject; ref: number }>();

  constructor(execution: Execution, log: Log) {
    this.#execution = execution;
    this.#log = log;
  }

  /** Reads the packets that wait, as far as that goes without waiting. */
  readPackets(client: Client): void {
    client.inputPending = false;
    const connection = client.connection as StreamConnection;
    const { buffer } = connection;
    // From one piece of Lua to the next no time is lost that would be worth another look at the clock.
    let now = performance.now();
    while (!connection.dismissed && buffer.length > 0 && buffer.length >= client.wanted) {
      const length = this.#packetLength(client, connection, now);
      if (length === undefined || length === 0) return;
      if (length > buffer.length) {
        if (!connection.refusePacket(length)) client.wanted = length;
        return;
      }
      client.wanted = 0;
      connection.packetRead();
      if (!this.#decode(client, buffer.read(length)!)) return;
      now = this.#execution.ended;
      if (client.thread !== undefined) {
        client.inputPending = buffer.length > 0;
        return;
      }
    }
  }

  /** What `protocol_input` says; `undefined` when the connection was closed over it. */
  #packetLength(client: Client, connection: StreamConnection, now: number): number | undefined {
    const vm = this.#execution.vmOf(client);
    const { L } = vm;
    L.pushRef(vm.functionRef("protocol_input")!);
    const buffer = this.#bufferObjectOf(vm);
    buffer.object.open(connection.buffer);
    L.pushRef(buffer.ref);
    client.pushConnection(L);
    const ok = this.#execution.call(client, "protocol_input", 2, now);
    buffer.object.close();
    const length = L.type(-1) === "number" ? L.toNumber(-1)! : Number.NaN;
    if (ok && length >= 0 && Number.isInteger(length)) {
      L.pop();
      return length;
    }
    const found = L.toText(-1) ?? `a ${L.type(-1)}`;
    L.pop();
    if (ok && length === -1) this.#breakOff(client, "the script found a protocol error (protocol_input answered -1)");
    else if (ok) {
      const expected = "protocol_input has to answer a packet length, 0 to wait for more or -1 to close";
      this.#execution.failed(client, "protocol_input", `${expected}, it answered ${found}`);
      this.#breakOff(client, "protocol_input failed");
    } else this.#breakOff(client, "protocol_input failed");
    return undefined;
  }

  /** Decodes one packet and runs `on_message` on what comes out; false when the connection was closed over it. */
  #decode(client: Client, packet: Uint8Array): boolean {
    const vm = this.#execution.vmOf(client);
    const { L } = vm;
    const ref = vm.functionRef("protocol_decode");
    if (ref !== undefined) L.pushRef(ref);
    L.pushBytes(packet);
    if (ref !== undefined) {
      client.pushConnection(L);
      if (!this.#execution.call(client, "protocol_decode", 2, this.#execution.ended)) {
        L.pop();
        this.#breakOff(client, "protocol_decode failed");
        return false;
      }
    }
    if (L.type(-1) === "nil") {
      L.pop();
      return true;
    }
    const thread = this.#execution.thread(vm, "on_message")!;
    L.moveTo(thread, 1);
    client.pushConnection(thread);
    this.#execution.start(client, "on_message", thread, this.#execution.ended);
    return true;
  }

  /** Where a packet ends is not known any more, so nothing that follows can be read. */
  #breakOff(client: Client, reason: string): void {
    const { connection } = client;
    connection.closeReason ??= reason;
    this.#log.debug(`client ${connection.id} is closed: ${reason}`);
    (connection as StreamConnection).buffer.clear();
    connection.close(1002, reason);
  }

  /** Passes the value at `index` of `L` through `protocol_encode`, where the script defines it. */
  encode(L: LuaState, index: number, connection: Connection): Uint8Array | { error: string } {
    const client = connection.script;
    if (!(client instanceof Client) || !connection.open) return { error: `connection ${connection.id} has closed` };
    const vm = this.#execution.vmOf(client);
    const ref = vm.functionRef("protocol_encode");
    if (ref === undefined) {
      const bytes = L.toBytes(index);
      return bytes ?? { error: `a ${L.type(index)} cannot be sent: the script defines no protocol_encode` };
    }
    vm.L.pushRef(ref);
    L.pushValue(index);
    if (L !== vm.L) L.moveTo(vm.L, 1);
    client.pushConnection(vm.L);
    const ok = this.#execution.call(client, "protocol_encode", 2);
    const type = vm.L.type(-1);
    const bytes = ok && type === "string" ? vm.L.toBytes(-1)! : encoder.encode(vm.L.toText(-1));
    vm.L.pop();
    if (!ok) return { error: `protocol_encode failed: ${new TextDecoder().decode(bytes).split("\n", 1)}` };
    if (type === "string" && bytes.length > 0) return bytes;
    return {
      error: `protocol_encode answered ${type === "string" ? "an empty string" : `a ${type}`}, expected a string`,
    };
  }

  #bufferObjectOf(vm: Vm): { object: BufferObject; ref: number } {
    let buffer = this.#buffers.get(vm);
    if (buffer === undefined) {
      const object = new BufferObject();
      buffer = { object, ref: createBufferObject(vm.L, object) };
      this.#buffers.set(vm, buffer);
    }
    return buffer;
  }
}
