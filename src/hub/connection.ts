import type { JsonObject } from "../json.ts";
import type { Fanout } from "./hub.ts";

/** What a connection carries: text as a string, anything else as bytes. */
export type Payload = string | Uint8Array;

/** Why an operation failed, in words for the caller; `undefined` when it succeeded. */
export type Failure = string | undefined;

/**
 * One client, whatever its protocol. Context and subscriptions live here, outside Lua, so they survive a script reload.
 * The fields that most connections never use stay `undefined` until needed: idle connections are what a gateway has most of.
 */
export abstract class Connection {
  /** Arbitrary values set by the script or by `conn.call`; read through `contextOf`. */
  context: JsonObject | undefined = undefined;
  /** Kept by the hub: the channels this connection is subscribed to. */
  channels: Set<string> | undefined = undefined;
  /** When the client last sent bytes, in milliseconds of the server's coarse clock. */
  lastRead: number;
  /** False from the moment a close began: nothing can be sent any more. */
  open = true;
  /** True once this side has closed it: what the client sent before that and still waits is not looked at any more. */
  dismissed = false;
  /** Why the connection ended, in words for `on_close`; `undefined` is a clean close. Set by whoever ends it first. */
  closeReason: string | undefined = undefined;
  /** Owned by the script runtime (mailbox, waiters, Lua handle); nobody else looks inside. */
  script: unknown = undefined;

  protected constructor(
    readonly id: number,
    readonly remoteAddr: string,
    /** How this connection is reached by publish: the server it belongs to. */
    readonly fanout: Fanout,
    now: number,
  ) {
    this.lastRead = now;
  }

  /** Puts `data` on the wire as it is: on WebSocket a string is a text message and bytes are a binary one. */
  abstract write(data: Payload): Failure;

  /**
   * Sends `data` as it would go out by `mesh.send`: on a socket server it passes through the script's `protocol_encode`.
   * Returns why it could not be handed over.
   */
  abstract send(data: Payload): Failure;

  /** Begins closing. `code` and `reason` are WebSocket's (RFC 6455 section 7.4); a socket connection just ends after flushing. */
  abstract close(code?: number, reason?: string): void;

  /** Bytes accepted by `send` that the client has not taken yet. */
  abstract waitingBytes(): number;
}
