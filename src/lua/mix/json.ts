import type { Json } from "../../json.ts";
import { anyArgument, bytesArgument, failure, tableArgument } from "../arguments.ts";
import type { LuaState } from "../state.ts";
import { markObject, pushJson, pushNull, readJson } from "../values.ts";

/** `mix.json_encode`, `mix.json_decode`, `mix.json_object`, `mix.null`. Of duplicate keys the last one counts. */
export function installJson(L: LuaState): void {
  L.pushFunction(jsonEncode);
  L.setField(-2, "json_encode");
  L.pushFunction(jsonDecode);
  L.setField(-2, "json_decode");
  L.pushFunction(jsonObject);
  L.setField(-2, "json_object");
  pushNull(L);
  L.setField(-2, "null");
}

function jsonEncode(L: LuaState): number {
  anyArgument(L, 1);
  const read = readJson(L, 1);
  if ("error" in read) return failure(L, `json_encode: ${read.error}`);
  L.pushText(JSON.stringify(read.value));
  return 1;
}

function jsonDecode(L: LuaState): number {
  const text = L.toStrictText(1);
  if (text === undefined) {
    bytesArgument(L, 1);
    return failure(L, "json_decode: the string is not UTF-8");
  }
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return failure(L, `json_decode: ${notJson(error, text)}`);
  }
  const failed = pushJson(L, value);
  if (failed === undefined) return 1;
  return failure(L, `json_decode: ${failed}`);
}

/** `mix.json_object(t)`: marks a table as an object, for when it is empty or has number keys, and returns it. */
function jsonObject(L: LuaState): number {
  tableArgument(L, 1);
  markObject(L, 1);
  L.pushValue(1);
  return 1;
}

const SHOWN = 40;

function notJson(error: unknown, text: string): string {
  const reason = error instanceof Error ? error.message.replace(/^JSON Parse error: /, "") : String(error);
  const start = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  return `not JSON (${reason}): ${JSON.stringify(start)}`;
}
