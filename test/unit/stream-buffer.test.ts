import { expect, test } from "bun:test";
import { StreamBuffer } from "../../src/lua/stream-buffer.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined) => new TextDecoder().decode(data);

test("a chunk of whole packets is never copied", () => {
  const buffer = new StreamBuffer();
  const chunk = bytes("onetwothree");
  buffer.append(chunk);
  const packets = [buffer.read(3), buffer.read(3), buffer.read(5)];
  expect(packets.map(text)).toEqual(["one", "two", "three"]);
  for (const packet of packets) expect(packet?.buffer).toBe(chunk.buffer);
  expect(buffer.length).toBe(0);
});

test("bytes that were handed out stay as they are while more arrive", () => {
  const buffer = new StreamBuffer();
  for (const part of ["ab", "cd", "ef"]) buffer.append(bytes(part));
  const before = buffer.bytes();
  const first = buffer.read(3);
  for (let i = 0; i < 1000; i++) buffer.append(bytes("xyz"));
  expect(text(before)).toBe("abcdef");
  expect(text(first)).toBe("abc");
  expect(text(buffer.slice(0, 6))).toBe("defxyz");
});

test("a packet in many pieces is copied a few times only", () => {
  const buffer = new StreamBuffer();
  const storages = new Set<ArrayBufferLike>();
  for (let i = 0; i < 100_000; i++) {
    buffer.append(new Uint8Array([i & 0xff]));
    storages.add(buffer.bytes().buffer);
  }
  expect(storages.size).toBeLessThan(20);
  const all = buffer.read(100_000)!;
  expect(all.every((byte, i) => byte === (i & 0xff))).toBe(true);
});

test("reading more than waits takes nothing", () => {
  const buffer = new StreamBuffer();
  buffer.append(bytes("abc"));
  expect(buffer.read(4)).toBeUndefined();
  expect(text(buffer.read(3))).toBe("abc");
  expect(buffer.read(1)).toBeUndefined();
  expect(buffer.bytes().length).toBe(0);
});

test("slices stop at the end, discarding too", () => {
  const buffer = new StreamBuffer();
  buffer.append(bytes("abcdef"));
  buffer.discard(2);
  expect(text(buffer.slice(1, 2))).toBe("de");
  expect(text(buffer.slice(3, 10))).toBe("f");
  expect(text(buffer.slice(9, 1))).toBe("");
  buffer.discard(99);
  expect(buffer.length).toBe(0);
  buffer.append(bytes("new"));
  expect(text(buffer.bytes())).toBe("new");
  buffer.clear();
  expect(buffer.length).toBe(0);
});

test("bytes and positions are found without consuming anything, and nothing beyond the end", () => {
  const buffer = new StreamBuffer();
  for (const part of ["one\r", "\ntwo", "\r\nthree\r"]) buffer.append(bytes(part));
  buffer.discard(1);
  expect([buffer.byteAt(0), buffer.byteAt(3), buffer.byteAt(16)]).toEqual([110, 10, undefined]);
  const end = bytes("\r\n");
  expect([0, 2, 3, 7, 8, 100].map((from) => buffer.indexOf(end, from))).toEqual([2, 2, 7, 7, -1, -1]);
  buffer.discard(9);
  expect(buffer.indexOf(bytes("three"), 0)).toBe(0);
  expect(buffer.indexOf(end, 0)).toBe(-1);
});
