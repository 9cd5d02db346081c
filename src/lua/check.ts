import { installCompat } from "./compat.ts";
import { createState } from "./fengari.ts";
import { openSandbox } from "./sandbox.ts";
import type { GlobalUse, LuaState } from "./state.ts";
import { CALLBACKS, REQUIRED_CALLBACKS } from "./vm.ts";

export interface ScriptProblem {
  line: number;
  message: string;
  severity: "error" | "warning";
}

/** Globals besides those of Lua's own libraries. */
const OWN_GLOBALS = ["mix", "bit", "require", "package", "load", "loadstring", "pcall", "xpcall"];

/**
 * What is wrong with an entry script without running it: that it does not compile, misses a callback, names one that is never
 * called, or reads a global that nothing sets. The last is a warning, and so is a missing callback when the script requires
 * modules, because a module may set both.
 */
export function checkScript(
  source: Uint8Array | string,
  name: string,
  protocol: "websocket" | "socket",
): ScriptProblem[] {
  const L = createState();
  openSandbox(L);
  installCompat(L);
  const known = new Set([...globalNames(L), ...OWN_GLOBALS, ...CALLBACKS[protocol]]);
  if (L.load(source, name) === "error") return [syntaxError(L.toText(-1)!, name)];
  const uses = L.globalUses(-1);
  return [...missingCallbacks(uses, protocol), ...misnamedCallbacks(uses, protocol), ...unknownGlobals(uses, known)];
}

function globalNames(L: LuaState): string[] {
  const names: string[] = [];
  L.pushGlobals();
  L.pushNil();
  while (L.next(-2)) {
    L.pop();
    names.push(L.toText(-1)!);
  }
  L.pop();
  return names;
}

function syntaxError(text: string, name: string): ScriptProblem {
  const position = /^:(\d+): /.exec(text.slice(name.length));
  if (position === null) return { line: 1, message: text, severity: "error" };
  return { line: Number(position[1]), message: text.slice(name.length + position[0].length), severity: "error" };
}

function missingCallbacks(uses: GlobalUse[], protocol: "websocket" | "socket"): ScriptProblem[] {
  const severity = uses.some(({ name }) => name === "require") ? "warning" : "error";
  return REQUIRED_CALLBACKS[protocol]
    .filter((callback) => !uses.some((use) => use.assigned && use.name === callback))
    .map((callback) => ({
      line: 1,
      message: `${callback} is missing: a ${protocol} script has to define it, as a global function`,
      severity,
    }));
}

function misnamedCallbacks(uses: GlobalUse[], protocol: "websocket" | "socket"): ScriptProblem[] {
  const callbacks: readonly string[] = CALLBACKS[protocol];
  return uses
    .filter(({ name, assigned }) => assigned && /^(on|protocol)_/.test(name) && !callbacks.includes(name))
    .map(({ name, line }) => ({
      line,
      message: `${name} is never called: the callbacks of a ${protocol} script are ${callbacks.join(", ")}`,
      severity: "warning",
    }));
}

function unknownGlobals(uses: GlobalUse[], known: Set<string>): ScriptProblem[] {
  const set = new Set(uses.filter(({ assigned }) => assigned).map(({ name }) => name));
  return uses
    .filter(({ name, assigned }) => !assigned && !set.has(name) && !known.has(name))
    .map(({ name, line }) => ({ line, message: `nothing sets the global "${name}"`, severity: "warning" }));
}
