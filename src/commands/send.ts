import { defineCommand } from "citty";
import { Api, apiArguments } from "./api.ts";
import { messageArguments, messageOf } from "./message.ts";

export const send = defineCommand({
  meta: { name: "send", description: "Send a message to one connection" },
  args: {
    client_id: { type: "positional", required: true, description: "the connection's id, as events carry it" },
    ...messageArguments,
    ...apiArguments,
  },
  async run({ args }) {
    const data = await messageOf(args);
    await new Api(args).use((client) => client.send(args.client_id, data));
  },
});
