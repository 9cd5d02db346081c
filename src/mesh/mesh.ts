import type { Socket, TCPSocketListener } from "bun";
import { nodeNumberOf } from "../client-id.ts";
import { messageOf, UserError } from "../errors.ts";
import { type CallResult, callConnection } from "../hub/calls.ts";
import type { Failure, Payload } from "../hub/connection.ts";
import type { Hub, PublishCount } from "../hub/hub.ts";
import type { Consumer, Queues } from "../hub/queue.ts";
import type { Json } from "../json.ts";
import type { Log } from "../log.ts";
import type { NodeRecord } from "../registry/registry.ts";
import type { Operations, Soon } from "./operations.ts";

export interface MeshOptions {
  hub: Hub;
  queues: Queues;
  log: Log;
  nodeId: string;
  clusterName: string;
  /** Without one only peers on this machine are accepted. */
  secret?: string | undefined;
  /** The program's version, for the peers' logs. */
  version: string;
  bind: string;
  /** 0 for any free port. */
  port: number;
}

/** This engine's part of the mesh: carries out what concerns its own clients and hands the rest to the engine that can. */
export class Mesh implements Operations {
  readonly #options: MeshOptions;
  readonly #hub: Hub;
  readonly #queues: Queues;
  #number = -1;
  #server: TCPSocketListener<undefined> | undefined;

  constructor(options: MeshOptions) {
    this.#options = options;
    this.#hub = options.hub;
    this.#queues = options.queues;
  }

  /** Opens the mesh port and resolves with it. Rejects with a `UserError` when the port is in use. */
  async listen(): Promise<number> {
    const { bind, port, log } = this.#options;
    try {
      this.#server = Bun.listen<undefined>({
        hostname: bind,
        port,
        socket: { data: (socket: Socket<undefined>) => socket.end() },
      });
    } catch (error) {
      throw new UserError(`cannot listen for the mesh on ${bind}:${port}: ${messageOf(error)}`);
    }
    log.info(`start the mesh node (${bind}:${this.#server.port})`);
    return this.#server.port;
  }

  /** From now on this engine answers for the clients of `self.number`. */
  start(self: NodeRecord): void {
    this.#number = self.number;
  }

  /** Like `start`, after the registry gave this engine another number. */
  renumber(self: NodeRecord): void {
    this.#number = self.number;
  }

  setMembers(_members: NodeRecord[]): void {}

  async stop(): Promise<void> {
    this.#server?.stop(true);
    this.#server = undefined;
  }

  send(clientId: number, data: Payload): Soon<Failure> {
    if (nodeNumberOf(clientId) !== this.#number) return `no engine holds client ${clientId}`;
    const connection = this.#hub.get(clientId);
    if (connection === undefined) return `no client ${clientId}: it has disconnected or never was`;
    return connection.send(data);
  }

  publish(channel: string, data: Payload): Soon<PublishCount> {
    return this.#hub.publish(channel, data);
  }

  call(clientId: number, func: string, args: Json[]): Soon<CallResult> {
    if (nodeNumberOf(clientId) !== this.#number) return { error: `no engine holds client ${clientId}` };
    return callConnection(this.#hub, clientId, func, args);
  }

  push(clientId: number, topic: string, data: string): number | { error: string } {
    return this.#queues.push({ clientId, nodeId: this.#options.nodeId, topic, data });
  }

  declareTopic(topic: string, size: number): { error: string } | undefined {
    return this.#queues.declare(topic, size);
  }

  consume(topic: string, consumer: Consumer): boolean | { error: string } {
    return this.#queues.addConsumer(topic, consumer);
  }

  unconsume(topic: string, consumer: Consumer): boolean {
    return this.#queues.removeConsumer(topic, consumer);
  }

  resume(topic: string, consumer: Consumer): void {
    this.#queues.resume(topic, consumer);
  }
}
