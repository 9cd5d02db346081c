import { describe, expect, test } from "bun:test";
import { accountLater, carryOutLater, writeLater } from "../../src/turn.ts";

/** A task scheduled now runs after the turn that the test has added to. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("the end of a turn", () => {
  test("carries out, then writes, then accounts, whatever the order of adding", async () => {
    const done: string[] = [];
    accountLater(() => done.push("account"));
    writeLater(() => done.push("write 1"));
    carryOutLater(() => {
      done.push("carry out");
      writeLater(() => done.push("write 2"));
    });
    expect(done).toEqual([]);
    await nextTurn();
    expect(done).toEqual(["carry out", "write 1", "write 2", "account"]);
  });

  test("leaves what a write adds to its own step to the next turn", async () => {
    const done: string[] = [];
    writeLater(() => {
      done.push("first");
      writeLater(() => done.push("second"));
    });
    await nextTurn();
    expect(done).toEqual(["first"]);
    await nextTurn();
    expect(done).toEqual(["first", "second"]);
  });

  test("an error of one task reaches the process and none of the others", async () => {
    const program = `
      import { carryOutLater, writeLater } from ${JSON.stringify(`${import.meta.dir}/../../src/turn.ts`)};
      process.on("uncaughtException", (error) => console.log("uncaught:", error.message));
      carryOutLater(() => { throw new Error("broken"); });
      carryOutLater(() => console.log("carried out"));
      writeLater(() => console.log("written"));
      setTimeout(() => writeLater(() => console.log("later too")), 1);
    `;
    const run = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe", stderr: "inherit" });
    const lines = (await new Response(run.stdout).text()).trim().split("\n");
    expect(lines.sort()).toEqual(["carried out", "later too", "uncaught: broken", "written"]);
    expect(await run.exited).toBe(0);
  });
});
