import connmixYaml from "../conf/connmix.yaml" with { type: "text" };
import entry from "../lua/entry.lua" with { type: "text" };
import entrySocket from "../lua/entry.socket.lua" with { type: "text" };
import entryWebsocket from "../lua/entry.websocket.lua" with { type: "text" };
import chatRoom from "../lua/examples/chat-room/entry.lua" with { type: "text" };
import exchangeStream from "../lua/examples/exchange-stream/entry.lua" with { type: "text" };
import messageCenter from "../lua/examples/message-center/entry.lua" with { type: "text" };
import videoComments from "../lua/examples/video-comments/entry.lua" with { type: "text" };
import prettyprint from "../lua/prettyprint.lua" with { type: "text" };
import protocolJsonrpc from "../lua/protocols/jsonrpc.lua" with { type: "text" };
import protocolText from "../lua/protocols/text.lua" with { type: "text" };
import protocolWebsocket from "../lua/protocols/websocket.lua" with { type: "text" };
import utilsPrettyprint from "../lua/utils/prettyprint.lua" with { type: "text" };

/**
 * The files that come with the program, by their path in the repository; part of the executable as well. `connmix init`
 * writes them out, and a script that is not on disk is looked for here.
 */
export const builtinFiles: Readonly<Record<string, string>> = {
  "conf/connmix.yaml": connmixYaml,
  "lua/entry.lua": entry,
  "lua/entry.socket.lua": entrySocket,
  "lua/entry.websocket.lua": entryWebsocket,
  "lua/examples/chat-room/entry.lua": chatRoom,
  "lua/examples/exchange-stream/entry.lua": exchangeStream,
  "lua/examples/message-center/entry.lua": messageCenter,
  "lua/examples/video-comments/entry.lua": videoComments,
  "lua/prettyprint.lua": prettyprint,
  "lua/protocols/jsonrpc.lua": protocolJsonrpc,
  "lua/protocols/text.lua": protocolText,
  "lua/protocols/websocket.lua": protocolWebsocket,
  "lua/utils/prettyprint.lua": utilsPrettyprint,
};

/** The text of a built-in file such as `lua/entry.lua`. */
export function builtinFile(path: string): string | undefined {
  return Object.hasOwn(builtinFiles, path) ? builtinFiles[path] : undefined;
}
