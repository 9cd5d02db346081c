import type { EchoLoad } from "./load.ts";
import type { Tally } from "./tally.ts";
import { connectAll, encode, type Wire } from "./wire.ts";

/** One connection's messages under way: when each was sent, in a ring. */
class Echo {
  readonly #wire: Wire;
  readonly #tally: Tally;
  readonly #burst: Uint8Array;
  readonly #size: number;
  readonly #sentAt: Float64Array;
  readonly #paced: boolean;
  #oldest = 0;
  /** Messages that may be sent. */
  #due = 0;

  constructor(wire: Wire, tally: Tally, burst: Uint8Array, { inFlight, pace }: EchoLoad) {
    this.#wire = wire;
    this.#tally = tally;
    this.#burst = burst;
    this.#paced = pace !== undefined;
    this.#size = burst.length / inFlight;
    this.#sentAt = new Float64Array(inFlight).fill(performance.now());
    wire.onPackets = (_, packets) => this.#replied(packets);
    wire.onEnd = (error) => tally.fail(error);
    wire.write(burst);
  }

  send(): void {
    if (this.#due === 0) return;
    const now = performance.now();
    const { length } = this.#sentAt;
    for (let i = length - this.#due; i < length; i++) this.#sentAt[(this.#oldest + i) % length] = now;
    this.#wire.write(this.#burst.subarray(0, this.#due * this.#size));
    this.#due = 0;
  }

  #replied(packets: number): void {
    const now = performance.now();
    for (let i = 0; i < packets; i++) {
      this.#tally.latency.add((now - this.#sentAt[this.#oldest]!) * 1000);
      if (++this.#oldest === this.#sentAt.length) this.#oldest = 0;
    }
    this.#tally.messages += packets;
    this.#due += packets;
    if (!this.#paced) this.send();
  }
}

/** Starts the load. */
export async function echo(load: EchoLoad, tally: Tally): Promise<void> {
  const wires = await connectAll(load.targets, load.connections, load.longestReply);
  const message = encode(load.targets[0]!, load.message);
  const burst = Buffer.concat(Array.from({ length: load.inFlight }, () => message));
  const echoes = wires.map((wire) => new Echo(wire, tally, burst, load));
  if (load.pace === undefined) return;
  setInterval(() => {
    for (const one of echoes) one.send();
  }, load.pace);
}
