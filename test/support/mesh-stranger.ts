import type { Socket } from "bun";
import { createNonce, createProof } from "../../src/cluster-auth.ts";
import { FrameDecoder, FrameType, FrameWriter } from "../../src/mesh/frame.ts";

/** A hand-driven peer: says whatever a test wants it to say to a mesh port. */
export class Stranger {
  /** Type and text of each frame that came. */
  readonly frames: { type: number; text: string }[] = [];
  closed = false;
  readonly #writer = new FrameWriter(1 << 26);
  readonly #decoder = new FrameDecoder(1 << 26, (type, body) => this.frames.push({ type, text: body.text() }));
  #socket!: Socket<undefined>;

  static async connect(port: number): Promise<Stranger> {
    const stranger = new Stranger();
    stranger.#socket = await Bun.connect<undefined>({
      hostname: "127.0.0.1",
      port,
      socket: {
        data: (_socket, chunk) => stranger.#decoder.push(chunk),
        close: () => {
          stranger.closed = true;
        },
      },
    });
    return stranger;
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
    this.#socket.flush();
  }

  frame(type: number, body: string | Uint8Array = ""): void {
    this.#writer.begin(type);
    if (typeof body === "string") this.#writer.text(body);
    else this.#writer.bytes(body);
    this.#writer.end();
    this.#writer.drain((buffer, offset, length) => this.#socket.write(buffer, offset, length));
  }

  greet(words: Record<string, unknown> = {}): string {
    const nonce = createNonce();
    const greeting = { protocol: 1, cluster: "test", node: "a", version: "1", session: "s", nonce, ...words };
    this.frame(FrameType.hello, JSON.stringify(greeting));
    return nonce;
  }

  /** Plays the dialing side's part as `node`, which must be a member with a lower id. */
  async join(node: string, secret?: string): Promise<void> {
    const ownNonce = this.greet({ node });
    while (this.frames.length === 0 && !this.closed) await Bun.sleep(2);
    const welcome = JSON.parse(this.frames[0]?.text ?? "{}");
    const role = "mesh-dialer";
    this.frame(FrameType.proof, createProof(secret, { role, ownNonce, peerNonce: welcome.nonce, cluster: "test" }));
    this.frame(FrameType.snapshot);
    this.frame(FrameType.snapshotEnd);
  }

  close(): void {
    this.#socket.terminate();
  }
}
