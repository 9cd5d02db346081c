import { defineCommand } from "citty";
import { Api, apiArguments } from "./api.ts";
import { messageArguments, messageOf } from "./message.ts";
import { print } from "./output.ts";

export const publish = defineCommand({
  meta: { name: "publish", description: "Publish a message to a channel, and print how many subscribers there were" },
  args: {
    channel: { type: "positional", required: true, description: "the channel" },
    ...messageArguments,
    ...apiArguments,
  },
  async run({ args }) {
    const data = await messageOf(args);
    await new Api(args).use(async (client) => {
      await print(JSON.stringify(await client.publish(args.channel, data)));
    });
  },
});
