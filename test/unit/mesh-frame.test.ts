import { describe, expect, test } from "bun:test";
import { FrameDecoder, FrameError, FrameReader, FrameWriter } from "../../src/mesh/frame.ts";

function written(writer: FrameWriter): Buffer {
  const parts: Buffer[] = [];
  writer.drain((buffer, offset, length) => {
    parts.push(Buffer.from(buffer.subarray(offset, offset + length)));
    return length;
  });
  return Buffer.concat(parts);
}

function frame(type: number, body: (writer: FrameWriter) => void): Buffer {
  const writer = new FrameWriter(1 << 26);
  writer.begin(type);
  body(writer);
  writer.end();
  return written(writer);
}

function decode(chunks: Buffer[], maxFrame = 1 << 26): { type: number; text: string }[] {
  const frames: { type: number; text: string }[] = [];
  const decoder = new FrameDecoder(maxFrame, (type, body) => frames.push({ type, text: body.text() }));
  for (const chunk of chunks) decoder.push(chunk);
  return frames;
}

describe("a frame", () => {
  test("is its length, its type and its body", () => {
    expect(frame(7, (writer) => writer.text("ab"))).toEqual(Buffer.from([0, 0, 0, 3, 7, 97, 98]));
    expect(frame(9, () => {})).toEqual(Buffer.from([0, 0, 0, 1, 9]));
  });

  const NUMBERS = [0, 1, 127, 128, 16_383, 16_384, 2 ** 28, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 41 * 4095 + 12345];
  for (const value of [...NUMBERS, Number.MAX_SAFE_INTEGER]) {
    test(`carries the number ${value}`, () => {
      const bytes = frame(1, (writer) => writer.number(value));
      const reader = new FrameReader();
      reader.reset(bytes, 5, bytes.length);
      expect(reader.number()).toBe(value);
      expect(bytes.length - 5).toBe(Math.max(1, Math.ceil(value.toString(2).length / 7)));
    });
  }

  const STRINGS = ["", "a", "ü".repeat(42), "😀".repeat(21), "x".repeat(127), "x".repeat(128), "漢".repeat(5000)];
  for (const value of [...STRINGS, "a\ud800b", "\udc00"]) {
    test(`carries a string of ${value.length} units beginning with ${JSON.stringify(value.slice(0, 3))}`, () => {
      const bytes = frame(1, (writer) => {
        writer.string(value);
        writer.text("end");
      });
      const reader = new FrameReader();
      reader.reset(bytes, 5, bytes.length);
      expect(reader.string()).toBe(value.toWellFormed());
      expect(reader.text()).toBe("end");
    });
  }

  test("carries payloads as text and as bytes, also text that was encoded before", () => {
    const reader = new FrameReader();
    const cases: [string | Uint8Array, boolean, string | Uint8Array][] = [
      ["grüße", true, "grüße"],
      [Buffer.from("grüße"), true, "grüße"],
      [new Uint8Array([0, 255]), false, new Uint8Array([0, 255])],
      ["", true, ""],
      [new Uint8Array(0), false, new Uint8Array(0)],
    ];
    for (const [data, text, expected] of cases) {
      const bytes = frame(1, (writer) => writer.payload(data, text));
      reader.reset(bytes, 5, bytes.length);
      const got = reader.payload();
      expect<unknown>(typeof got === "string" ? got : new Uint8Array(got)).toEqual(expected);
    }
  });
});

describe("the writer", () => {
  test("takes a frame that is too long back and goes on", () => {
    const writer = new FrameWriter(100);
    writer.begin(1);
    writer.text("first");
    expect(writer.end()).toBe(true);
    const { waiting } = writer;
    writer.begin(1);
    writer.text("x".repeat(100));
    expect(writer.end()).toBe(false);
    expect(writer.waiting).toBe(waiting);
    writer.begin(1);
    writer.text("x".repeat(99));
    expect(writer.end()).toBe(true);
    expect(decode([written(writer)]).map(({ text }) => text.length)).toEqual([5, 99]);
  });

  test("keeps what a socket did not take, through growth and reuse of its buffer", () => {
    const writer = new FrameWriter(1 << 26);
    const parts: Buffer[] = [];
    const sent: string[] = [];
    const takeSome = (buffer: Buffer, offset: number, length: number): number => {
      const taken = Math.min(length, 7919);
      parts.push(Buffer.from(buffer.subarray(offset, offset + taken)));
      return taken;
    };
    for (let n = 0; n < 2000; n++) {
      const text = `${n}:${"y".repeat((n * 131) % 9000)}`;
      sent.push(text);
      writer.begin(n % 256);
      writer.text(text);
      writer.end();
      if (n % 3 === 0) writer.drain(takeSome);
    }
    while (writer.waiting > 0) writer.drain(takeSome);
    expect(decode([Buffer.concat(parts)]).map(({ text }) => text)).toEqual(sent);
  });
});

describe("the decoder", () => {
  const stream = Buffer.concat([
    frame(1, (writer) => writer.text("one")),
    frame(2, () => {}),
    frame(3, (writer) => writer.text("grüße 😀")),
    frame(255, (writer) => writer.text("z".repeat(300))),
  ]);
  const expected = decode([stream]);

  test("finds every frame in one chunk", () => {
    expect(expected.map(({ type, text }) => [type, text.length])).toEqual([
      [1, 3],
      [2, 0],
      [3, 8],
      [255, 300],
    ]);
  });

  test("finds the same frames whatever the split", () => {
    for (let size = 1; size <= stream.length; size++) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size));
      expect(decode(chunks)).toEqual(expected);
    }
    for (let cut = 0; cut <= stream.length; cut++) {
      expect(decode([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(expected);
    }
  });

  test("hands out bytes that stay what they were when more comes", () => {
    const bodies: Uint8Array[] = [];
    const decoder = new FrameDecoder(1000, (_type, body) => bodies.push(body.payload() as Uint8Array));
    const two = Buffer.concat(
      [1, 2].map((value) => frame(1, (writer) => writer.payload(new Uint8Array(50).fill(value), false))),
    );
    for (const byte of two) decoder.push(Buffer.from([byte]));
    expect(bodies.map((body) => [...new Set(body)])).toEqual([[1], [2]]);
  });

  test("refuses frames without a type and frames beyond its limit, wherever the length is split", () => {
    expect(() => decode([Buffer.from([0, 0, 0, 0])])).toThrow(FrameError);
    expect(() => decode([Buffer.from([0, 0, 3, 233])], 1000)).toThrow("a frame of 1001 bytes, the limit is 1000");
    expect(() => decode([Buffer.from([255]), Buffer.from([255, 255]), Buffer.from([255]), Buffer.from([1])])).toThrow(
      FrameError,
    );
    expect(decode([Buffer.from([0, 0, 3, 232, 1])], 1000)).toEqual([]);
  });

  test("hands out nothing after stop, also from the same chunk", () => {
    let seen = 0;
    const decoder = new FrameDecoder(1000, () => {
      seen++;
      decoder.stop();
    });
    decoder.push(stream);
    decoder.push(stream);
    expect(seen).toBe(1);
  });
});

describe("the reader", () => {
  function reader(...bytes: number[]): FrameReader {
    const result = new FrameReader();
    // A byte beyond the frame's end must never be read.
    result.reset(Buffer.from([...bytes, 1]), 0, bytes.length);
    return result;
  }

  test("never reads beyond its frame", () => {
    expect(() => reader().byte()).toThrow("ended too early");
    expect(() => reader(0x80).number()).toThrow("ended too early");
    expect(() => reader(2, 97).string()).toThrow("longer than its frame");
    expect(() => reader().payload()).toThrow("ended too early");
  });

  test("refuses numbers over 2^53 - 1 and unknown kinds of payload", () => {
    expect(() => reader(255, 255, 255, 255, 255, 255, 255, 16).number()).toThrow("over 2^53 - 1");
    expect(() => reader(255, 255, 255, 255, 255, 255, 255, 255, 1).number()).toThrow("over 2^53 - 1");
    expect(() => reader(2, 97).payload()).toThrow("text (0) or binary (1), found 2");
  });
});
