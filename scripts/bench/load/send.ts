import type { SendLoad } from "./load.ts";
import type { Tally } from "./tally.ts";
import { connect, connectAll, encode, type Wire } from "./wire.ts";

const REACH_TIMEOUT_MS = 10_000;
const REACH_RETRY_MS = 100;

/** Starts the load, once a request has been seen to reach the last client that came. */
export async function send(load: SendLoad, tally: Tally): Promise<void> {
  const wires = await connectAll(load.targets, load.clients);
  const sender = await connect(load.sender);
  const pattern = load.idPattern === undefined ? undefined : new RegExp(load.idPattern);
  const requests = wires.map((wire) => {
    const id = pattern === undefined ? wire.greeting : pattern.exec(wire.greeting)?.[1];
    if (!id) throw new Error(`no client id in the greeting ${wire.greeting}`);
    return encode(load.sender, load.request.replaceAll("{id}", id));
  });
  await reach(wires.at(-1)!, sender, requests.at(-1)!);

  const sentAt = new Float64Array(load.inFlight).fill(performance.now());
  let oldest = 0;
  let next = 0;
  let replies = 0;
  let deliveries = 0;
  for (const wire of wires) {
    wire.onEnd = (error) => tally.fail(error);
    wire.onPackets = (_, packets) => {
      deliveries += packets;
    };
  }
  sender.onEnd = (error) => tally.fail(error);
  sender.onPackets = (_, packets) => {
    const now = performance.now();
    const batch: Uint8Array[] = [];
    for (let i = 0; i < packets; i++) {
      tally.latency.add((now - sentAt[oldest]!) * 1000);
      sentAt[oldest] = now;
      if (++oldest === load.inFlight) oldest = 0;
      batch.push(requests[next]!);
      if (++next === requests.length) next = 0;
    }
    tally.messages += packets;
    replies += packets;
    // A request that is refused is answered too: replies without deliveries are errors. Deliveries may lag or lead by what is under way.
    if (replies - deliveries > 10 * load.inFlight + 1000)
      tally.fail(new Error(`${replies} replies, but ${deliveries} deliveries`));
    sender.write(batch.length === 1 ? batch[0]! : Buffer.concat(batch));
  };
  for (let i = 0; i < load.inFlight; i++) sender.write(requests[next++ % requests.length]!);
  next %= requests.length;
}

/** A client may be known on its own engine a moment before the others can reach it. */
async function reach(wire: Wire, sender: Wire, request: Uint8Array): Promise<void> {
  const deadline = performance.now() + REACH_TIMEOUT_MS;
  let reached = false;
  let replied = 0;
  let asked = 0;
  wire.onPackets = () => {
    reached = true;
  };
  sender.onPackets = (_, packets) => {
    replied += packets;
  };
  while (!reached || replied < asked) {
    if (performance.now() > deadline)
      throw new Error(`a client was not reached: ${asked} requests, ${replied} replies`);
    if (!reached && replied === asked) {
      sender.write(request);
      asked++;
    }
    const retry = performance.now() + REACH_RETRY_MS;
    while ((!reached || replied < asked) && performance.now() < retry) await Bun.sleep(1);
  }
}
