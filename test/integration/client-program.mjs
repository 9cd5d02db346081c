// A backend as a user of the client library writes one, run by Node and by Bun: answers each message of topic "foo" to its
// sender, and prints what happens. Argument: the address of a center or an engine.
import { Client } from "connmix/client";

const client = new Client({
  url: process.argv[2],
  requestTimeout: 5_000,
  onTrouble: (text) => console.log(`trouble ${text}`),
});
process.once("SIGTERM", async () => {
  await client.close();
  console.log("closed");
});

const consumer = client.consume("foo");
await consumer.ready;
console.log(`consuming in ${typeof Bun === "undefined" ? "node" : "bun"}`);
let known = "";
const watching = setInterval(() => {
  const now = client.connected.toSorted().join(" ");
  if (now !== known) console.log(`connected ${now}`);
  known = now;
}, 20);

for await (const { clientId, data } of consumer) {
  try {
    await client.send(clientId, `answer to ${data.msg.data}`);
  } catch (error) {
    console.log(`failed ${error.code} ${error.message}`);
  }
}
clearInterval(watching);
