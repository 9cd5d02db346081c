import connmixYaml from "../conf/connmix.yaml" with { type: "text" };
import entryLua from "../lua/entry.lua" with { type: "text" };
import entryWebsocketLua from "../lua/entry.websocket.lua" with { type: "text" };

/**
 * The files that come with the program, by their path in the repository; part of the executable as well. `connmix init`
 * writes them out, and a script that is not on disk is looked for here.
 */
export const builtinFiles: Readonly<Record<string, string>> = {
  "conf/connmix.yaml": connmixYaml,
  "lua/entry.lua": entryLua,
  "lua/entry.websocket.lua": entryWebsocketLua,
};

/** The text of a built-in file such as `lua/entry.lua`. */
export function builtinFile(path: string): string | undefined {
  return Object.hasOwn(builtinFiles, path) ? builtinFiles[path] : undefined;
}
