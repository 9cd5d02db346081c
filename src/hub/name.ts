import type { Failure } from "./connection.ts";

const MAX_LENGTH = 1024;

/** Why there can be no channel, or topic, of that name. */
export function nameError(kind: "channel" | "topic", name: string): Failure {
  if (name !== "" && name.length <= MAX_LENGTH) return undefined;
  return `a ${kind} name has 1 to ${MAX_LENGTH} characters, this one has ${name.length}`;
}
