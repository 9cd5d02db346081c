import { closeFrame } from "./frame.ts";
import type { ConnectLoad } from "./load.ts";
import type { Tally } from "./tally.ts";
import { connect } from "./wire.ts";

/** Starts the load: connect, upgrade, close, wait for the server's close, and again. */
export async function connects(load: ConnectLoad, tally: Tally): Promise<void> {
  let number = 0;
  const again = async () => {
    for (;;) {
      const start = performance.now();
      const wire = await connect(load.targets[number % load.targets.length]!, number++);
      tally.latency.add((performance.now() - start) * 1000);
      const closed = new Promise<void>((resolve) => {
        wire.onEnd = () => resolve();
      });
      wire.write(closeFrame);
      await closed;
      tally.messages++;
      wire.terminate();
    }
  };
  for (let i = 0; i < load.atOnce; i++) again().catch((error: Error) => tally.fail(error));
}
