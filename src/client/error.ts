/**
 * What went wrong, for programs. A number is the engine's own answer: 100 no such method, 101 invalid parameters, 103 not
 * allowed, 201 consume failed, 203 stop-consuming failed, 301 call failed, 401 send failed. A word is this library's:
 *
 * - `unavailable`: no engine could be reached in time; nothing was sent.
 * - `timeout`: sent, but not answered in time; it may or may not have been carried out.
 * - `disconnected`: sent, and the connection was lost before the answer; it may or may not have been carried out.
 * - `closed`: the client was closed; nothing was sent.
 */
export type ErrorCode = number | "unavailable" | "timeout" | "disconnected" | "closed";

/** The only error this library throws or rejects with, programming mistakes (`TypeError`) aside. */
export class ConnmixError extends Error {
  override readonly name = "ConnmixError";
  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
  }
}
