import { UserError } from "../errors.ts";

/** What `send` and `publish` take as the message. */
export const messageArguments = {
  data: { type: "positional", description: "the message; left out, it is read from stdin", required: false },
  binary: { type: "boolean", description: "send as a binary message instead of a text one" },
} as const;

/** The message to send, from the argument or, byte for byte, from stdin. */
export async function messageOf({
  data,
  binary,
}: {
  data?: string | undefined;
  binary?: boolean | undefined;
}): Promise<string | Uint8Array> {
  if (data === undefined && process.stdin.isTTY) throw new UserError("no message given, and stdin is a terminal", 2);
  const bytes = data === undefined ? await Bun.stdin.bytes() : new TextEncoder().encode(data);
  if (binary) return bytes;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new UserError("the message is not UTF-8 text: send it with --binary", 2);
  }
}
