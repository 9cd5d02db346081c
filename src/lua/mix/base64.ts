import { bytesArgument, failure } from "../arguments.ts";
import type { LuaState } from "../state.ts";

/** `mix.base64_encode`, `mix.base64_decode`: the standard alphabet with padding (RFC 4648 section 4). */
export function installBase64(L: LuaState): void {
  L.pushFunction(base64Encode);
  L.setField(-2, "base64_encode");
  L.pushFunction(base64Decode);
  L.setField(-2, "base64_decode");
}

function base64Encode(L: LuaState): number {
  L.pushText(bytesArgument(L, 1).toBase64());
  return 1;
}

/** Spaces and line breaks are skipped, as in MIME; everything else outside the alphabet is an error. */
function base64Decode(L: LuaState): number {
  bytesArgument(L, 1);
  const text = L.toText(1)!;
  try {
    L.pushBytes(Uint8Array.fromBase64(text, { lastChunkHandling: "strict" }));
    return 1;
  } catch {
    return failure(L, `not base64: ${defect(text)}`);
  }
}

function defect(text: string): string {
  const foreign = /[^A-Za-z0-9+/=\s]/u.exec(text);
  if (foreign !== null) {
    const hint = foreign[0] === "-" || foreign[0] === "_" ? ' (base64url: replace "-" by "+" and "_" by "/")' : "";
    return `character ${JSON.stringify(foreign[0])} at ${foreign.index + 1}${hint}`;
  }
  const length = text.replace(/\s/g, "").length;
  if (length % 4 !== 0) return `${length} characters, expected a multiple of 4 (with "=" as padding)`;
  return 'misplaced "=" or stray bits in the last character';
}
