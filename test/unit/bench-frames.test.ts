import { describe, expect, test } from "bun:test";
import {
  closeFrame,
  FrameCounter,
  LineCounter,
  maskedFrame,
  takeFrame,
  textFrame,
} from "../../scripts/bench/load/frame.ts";

/** A frame as a server sends it: header and payload, unmasked. */
function serverFrame(opcode: number, length: number): Uint8Array {
  const header =
    length < 126
      ? [0x80 | opcode, length]
      : length < 65536
        ? [0x80 | opcode, 126, length >> 8, length & 255]
        : [
            0x80 | opcode,
            127,
            0,
            0,
            0,
            0,
            (length >> 24) & 255,
            (length >> 16) & 255,
            (length >> 8) & 255,
            length & 255,
          ];
  // A payload that looks like frame headers, so that counting it would be noticed.
  return new Uint8Array([...header, ...new Uint8Array(length).fill(0x81)]);
}

describe("maskedFrame", () => {
  test("is RFC 6455's own example with its mask", () => {
    // Section 5.7: a single-frame masked text message, "Hello".
    expect(textFrame("Hello")).toEqual(
      new Uint8Array([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
    );
  });

  test("writes each length in the shortest form", () => {
    expect(maskedFrame(new Uint8Array(125)).length).toBe(2 + 4 + 125);
    expect(maskedFrame(new Uint8Array(126)).length).toBe(4 + 4 + 126);
    expect(maskedFrame(new Uint8Array(65535)).length).toBe(4 + 4 + 65535);
    expect(maskedFrame(new Uint8Array(65536)).length).toBe(10 + 4 + 65536);
    expect(closeFrame[0]).toBe(0x88);
  });
});

describe("FrameCounter", () => {
  const lengths = [0, 1, 125, 126, 127, 65535, 65536, 3];
  const stream = Buffer.concat(lengths.map((length) => serverFrame(1, length)));

  test.each([1, 2, 3, 7, 1000, stream.length])("counts the same frames in chunks of %i bytes", (size) => {
    const counter = new FrameCounter();
    let frames = 0;
    for (let at = 0; at < stream.length; at += size) frames += counter.count(stream.subarray(at, at + size));
    expect(frames).toBe(lengths.length);
  });

  test("passes over long messages and pings when told what a reply is", () => {
    const counter = new FrameCounter(16);
    const bytes = Buffer.concat([serverFrame(1, 16), serverFrame(1, 17), serverFrame(9, 4), serverFrame(2, 5)]);
    expect(counter.count(bytes)).toBe(2);
  });

  test("does not take a close for a message", () => {
    expect(() => new FrameCounter().count(serverFrame(8, 2))).toThrow("closed");
  });
});

test("LineCounter counts the ends of lines, however they arrive", () => {
  const counter = new LineCounter();
  expect(counter.count(Buffer.from("one\ntw"))).toBe(1);
  expect(counter.count(Buffer.from("o\n\n"))).toBe(2);
  expect(counter.count(Buffer.from("three"))).toBe(0);
});

describe("takeFrame", () => {
  test("takes one whole frame off the front", () => {
    const hello = new Uint8Array([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x81, 0x00]);
    expect(takeFrame(hello)).toEqual({ payload: "Hello", rest: hello.subarray(7) });
  });

  test("waits for the rest of a frame", () => {
    const frame = serverFrame(1, 300);
    for (const end of [0, 1, 3, 303]) expect(takeFrame(frame.subarray(0, end))).toBeUndefined();
    expect(takeFrame(frame)?.rest.length).toBe(0);
  });
});
