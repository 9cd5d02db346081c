import type { Payload } from "../hub/connection.ts";
import { isAbsent, shownArgument, typeName } from "./arguments.ts";
import type { LuaState } from "./state.ts";

/**
 * The data a script sends, argument `data`, with its type in argument `type`: "text" (the default) as a string, "binary" as bytes.
 * Data that is no string or number raises; text that is not UTF-8 is a failure, because a WebSocket client would drop the
 * connection over it.
 */
export function readPayload(L: LuaState, data: number, type: number): Payload | { error: string } {
  const kind = isAbsent(L, type) ? "text" : L.toText(type);
  if (kind === "text") {
    const text = L.toStrictText(data);
    if (text !== undefined) return text;
    if (L.toBytes(data) !== undefined) return { error: 'the data is not UTF-8 text: send it as "binary"' };
  } else if (kind === "binary") {
    const bytes = L.toBytes(data);
    if (bytes !== undefined) return bytes;
  } else L.argError(type, `"text" or "binary" expected, got ${shownArgument(L, type)}`);
  const hint = L.type(data) === "table" ? ", which mix.json_encode makes a string" : "";
  return L.argError(data, `string expected, got ${typeName(L, data)}${hint}`);
}
