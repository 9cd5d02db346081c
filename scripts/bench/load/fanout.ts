import type { FanoutLoad } from "./load.ts";
import type { Tally } from "./tally.ts";
import { connect, connectAll, encode, type Wire } from "./wire.ts";

const REACH_TIMEOUT_MS = 10_000;
const REACH_RETRY_MS = 100;

/** Starts the load, once a publish has been seen to reach every subscriber. The next one follows when one has reached them all. */
export async function fanout(load: FanoutLoad, tally: Tally): Promise<void> {
  const publisher = await connect(load.publisher);
  const wires = await connectAll(load.targets, load.subscribers);
  publisher.onEnd = (error) => tally.fail(error);
  const publish = encode(load.publisher, load.publish);
  await reachAll(wires, publisher, publish, tally);

  const { inFlight, subscribers } = load;
  const sentAt = new Float64Array(inFlight).fill(performance.now());
  /** How many subscribers have received each of the publishes under way, and how many publishes each subscriber has. */
  const reached = new Uint32Array(inFlight);
  const received = new Float64Array(subscribers);
  const delivered = (wire: Wire, packets: number) => {
    tally.messages += packets;
    for (let i = 0; i < packets; i++) {
      const slot = received[wire.number]!++ % inFlight;
      if (++reached[slot]! < subscribers) continue;
      reached[slot] = 0;
      const now = performance.now();
      tally.latency.add((now - sentAt[slot]!) * 1000);
      sentAt[slot] = now;
      publisher.write(publish);
    }
  };
  for (const wire of wires) wire.onPackets = delivered;
  for (let i = 0; i < inFlight; i++) publisher.write(publish);
}

/** Engines learn of each other's subscribers a moment after they came: publishes until one has reached them all. */
async function reachAll(wires: Wire[], publisher: Wire, publish: Uint8Array, tally: Tally): Promise<void> {
  const deadline = performance.now() + REACH_TIMEOUT_MS;
  let reached = 0;
  for (const wire of wires) {
    wire.onEnd = (error) => tally.fail(error);
    wire.onPackets = (_, packets) => {
      reached += packets;
    };
  }
  do {
    if (performance.now() > deadline) throw new Error(`a publish reached ${reached} of ${wires.length} subscribers`);
    reached = 0;
    publisher.write(publish);
    const retry = performance.now() + REACH_RETRY_MS;
    while (reached < wires.length && performance.now() < retry) await Bun.sleep(1);
  } while (reached < wires.length);
  // A straggler of an earlier try would be counted as a delivery of the measured ones.
  await Bun.sleep(REACH_RETRY_MS);
}
