import { defineCommand } from "citty";
import { UserError } from "../errors.ts";
import { Api, apiArguments } from "./api.ts";
import { print } from "./output.ts";

export const consume = defineCommand({
  meta: { name: "consume", description: "Take messages from topics, and print them as JSON lines" },
  args: {
    topics: { type: "positional", required: true, valueHint: "...", description: "the topics to consume" },
    count: { type: "string", alias: "n", valueHint: "N", description: "end after N messages" },
    ...apiArguments,
  },
  async run({ args }) {
    const count = countOf(args.count);
    await new Api(args).use(async (client) => {
      // Little is taken ahead of what is printed: what is still held when this process ends is lost.
      const consumer = client.consume(args._, { highWaterMark: 16 });
      const stop = () => void consumer.stop();
      process.once("SIGINT", stop).once("SIGTERM", stop);
      let printed = 0;
      for await (const { clientId, topic, data } of consumer) {
        if (printed < count) await print(JSON.stringify({ client_id: clientId, queue: topic, data }));
        if (++printed >= count) break;
      }
    });
  },
});

function countOf(given: string | undefined): number {
  if (given === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,14}$/.test(given)) return Number(given);
  throw new UserError(`--count: found ${JSON.stringify(given)}, expected a number of messages, 1 or more`, 2);
}
