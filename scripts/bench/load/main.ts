/** A load client in a process of its own: one assignment as its argument, one measurement as JSON on its output. */
import { connects } from "./connect.ts";
import { echo } from "./echo.ts";
import { fanout } from "./fanout.ts";
import { hold } from "./hold.ts";
import type { Assignment, Load, Measurement } from "./load.ts";
import { relay } from "./relay.ts";
import { send } from "./send.ts";
import { Tally } from "./tally.ts";

function start(load: Exclude<Load, { kind: "hold" }>, tally: Tally): Promise<void> {
  switch (load.kind) {
    case "echo":
      return echo(load, tally);
    case "fanout":
      return fanout(load, tally);
    case "send":
      return send(load, tally);
    case "relay":
      return relay(load, tally);
    case "connect":
      return connects(load, tally);
  }
}

async function run(assignment: Assignment): Promise<Measurement> {
  const { load } = assignment;
  if (load.kind === "hold") return hold(load, assignment);
  const tally = new Tally();
  await start(load, tally);
  return tally.measure(assignment);
}

try {
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2]!))));
  process.exit(0);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
