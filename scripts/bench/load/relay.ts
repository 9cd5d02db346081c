import type { RelayLoad } from "./load.ts";
import type { Tally } from "./tally.ts";
import { connect, connectAll, encode } from "./wire.ts";

/** Starts the load: clients send in turn, and whenever the consumer has received, as many are sent again. */
export async function relay(load: RelayLoad, tally: Tally): Promise<void> {
  const consumer = await connect(load.consumer);
  const wires = await connectAll(load.targets, load.clients);
  const message = encode(load.targets[0]!, load.message);
  const sentAt = new Float64Array(load.inFlight).fill(performance.now());
  let oldest = 0;
  let next = 0;
  for (const wire of wires) wire.onEnd = (error) => tally.fail(error);
  consumer.onEnd = (error) => tally.fail(error);
  consumer.onPackets = (_, packets) => {
    const now = performance.now();
    for (let i = 0; i < packets; i++) {
      tally.latency.add((now - sentAt[oldest]!) * 1000);
      sentAt[oldest] = now;
      if (++oldest === load.inFlight) oldest = 0;
      wires[next]!.write(message);
      if (++next === wires.length) next = 0;
    }
    tally.messages += packets;
  };
  for (let i = 0; i < load.inFlight; i++) wires[i % wires.length]!.write(message);
}
