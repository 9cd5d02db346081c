import { defineCommand } from "citty";
import { Api, apiArguments } from "./api.ts";
import { print } from "./output.ts";

export const call = defineCommand({
  meta: { name: "call", description: "Call a function on a connection, and print what it answers as JSON" },
  args: {
    client_id: { type: "positional", required: true, description: "the connection's id, as events carry it" },
    func: {
      type: "positional",
      required: true,
      description: "set_context_value, set_context, subscribe, unsubscribe, context, channels or close",
    },
    arguments: {
      type: "positional",
      required: false,
      valueHint: "...",
      description: "each as JSON, or as plain text when it is none",
    },
    ...apiArguments,
  },
  async run({ args }) {
    const [, , ...given] = args._;
    await new Api(args).use(async (client) => {
      const value = await client.call(args.client_id, args.func, given.map(jsonOrText));
      if (value !== undefined) await print(JSON.stringify(value));
    });
  },
});

function jsonOrText(argument: string): unknown {
  try {
    return JSON.parse(argument);
  } catch {
    return argument;
  }
}
