import { expect, test } from "bun:test";

/** Two calls, one in each dialect, a send and a ping, on a session whose calls all reject and whose sends throw. */
const PROGRAM = `
  import { Session } from ${JSON.stringify(`${import.meta.dir}/../../src/api/session.ts`)};
  process.on("unhandledRejection", (error) => console.log("unhandled:", error.message));
  const operations = {
    call: () => Promise.reject(new Error("broken")),
    send: () => {
      throw new Error("thrown");
    },
  };
  const limits = { readTimeout: 0, writeTimeout: 0, readBufferSize: 1000, writeBufferSize: 1000 };
  const keeper = { stats: { requests: 0 }, slow: (_session, reason) => console.log("slow:", reason) };
  const session = new Session(operations, "127.0.0.1", { read: true, write: true }, limits, keeper);
  const sendText = (text) => console.log(text);
  session.opened({ sendText, cork: (write) => write(), getBufferedAmount: () => 0 });
  session.received('{"method":"conn.call","params":{"client_id":1,"func":"context"},"id":1}');
  session.received('{"m":"conn.call","p":{"c":1,"f":"context"},"i":2}');
  session.received('{"method":"mesh.send","params":{"client_id":1,"data":"x"},"id":3}');
  session.received('{"method":"server.ping","id":4}');
  process.on("exit", () => console.log("answering:", session.answering));
`;

test("a request whose answer is lost to an error is answered 500, and those behind it go on", async () => {
  const run = Bun.spawn([process.execPath, "-e", PROGRAM], { stdout: "pipe", stderr: "inherit" });
  const lines = (await new Response(run.stdout).text()).trim().split("\n");
  expect(lines.filter((line) => line.startsWith("{"))).toEqual([
    '{"error":{"code":500,"message":"internal error: see the log of this engine"},"id":1}',
    '{"E":{"c":500,"m":"internal error: see the log of this engine"},"i":2}',
    '{"error":null,"result":{"status":"server.pong"},"id":4}',
    '{"error":{"code":500,"message":"internal error: see the log of this engine"},"id":3}',
  ]);
  expect(lines.filter((line) => !line.startsWith("{"))).toEqual([
    "unhandled: broken",
    "unhandled: broken",
    "unhandled: thrown",
    "answering: false",
  ]);
  expect(await run.exited).toBe(0);
});
