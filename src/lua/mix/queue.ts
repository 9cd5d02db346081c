import { anyArgument, failure, nameArgument, numberArgument } from "../arguments.ts";
import type { ScriptHost } from "../host.ts";
import type { LuaState } from "../state.ts";
import { readJson } from "../values.ts";
import { currentCallback } from "../wait.ts";

/** `mix.queue.push(topic, data)` → messages now waiting, err; `mix.queue.new(topic, size)` → err. */
export function installQueue(L: LuaState, host: ScriptHost): void {
  const { operations } = host;
  L.newTable();
  L.pushFunction((state) => {
    const topic = nameArgument(state, 1);
    if (typeof topic === "object") return failure(state, topic.error);
    anyArgument(state, 2);
    const data = jsonText(state, 2);
    if (typeof data === "object") return failure(state, `queue.push: ${data.error}`);
    const waiting = operations.push(currentCallback()?.connection.id ?? 0, topic, data);
    if (typeof waiting === "object") return failure(state, waiting.error);
    state.pushNumber(waiting);
    return 1;
  });
  L.setField(-2, "push");
  L.pushFunction((state) => {
    const topic = nameArgument(state, 1);
    const size = numberArgument(state, 2);
    const refused = typeof topic === "object" ? topic : operations.declareTopic(topic, size);
    if (refused === undefined) state.pushNil();
    else state.pushText(refused.error);
    return 1;
  });
  L.setField(-2, "new");
  L.nameFunctions("mix.queue");
  L.setField(-2, "queue");
}

/** A string that is itself a JSON object or array is embedded as that value; anything else becomes its JSON. */
function jsonText(L: LuaState, arg: number): string | { error: string } {
  if (L.type(arg) === "string") {
    const text = L.toStrictText(arg);
    if (text !== undefined && isJsonComposite(text)) return text;
  }
  const read = readJson(L, arg);
  return "error" in read ? read : JSON.stringify(read.value);
}

function isJsonComposite(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
