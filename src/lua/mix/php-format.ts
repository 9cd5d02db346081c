/**
 * The format language of PHP's pack() and unpack(); its manual is the reference. Machine-dependent letters are those of
 * 64-bit little-endian PHP. What PHP only warns about while it loses data (unused arguments, bad hex digits…) is an error
 * here, and 64-bit values are exact and, under Q, J and P, unsigned.
 */
import { remembered } from "../remembered.ts";
import { numberCodes, type PackArgument, PackError, wholeNumber } from "./php-number.ts";

/** One value of an unpacked table; a bigint only where a number would not be exact. */
export type Unpacked = [key: string | number, value: number | bigint | Uint8Array];

interface Field {
  code: string;
  /** How often, or how long; "*" is as often or long as there is input, `undefined` was not written. */
  repeat: number | "*" | undefined;
  /** In unpack formats: what follows letter and repeater, up to the slash. */
  name: string;
}

/** A format is a few bytes and may ask for gigabytes. */
const LARGEST_RESULT = 64 * 1024 * 1024;
const MOST_VALUES = 1024 * 1024;

const packFields = remembered((format) => {
  const fields: Field[] = [];
  for (const [, code, repeat] of format.matchAll(/(.)(\*|\d+)?/gs)) {
    fields.push({ code: code!, repeat: repeatOf(repeat), name: "" });
  }
  return fields;
});

const unpackFields = remembered((format) => {
  const fields: Field[] = [];
  if (format === "") return fields;
  for (const part of format.replace(/\/$/, "").split("/")) {
    const [, code, repeat, name] = /^(.)(\*|\d+)?(.*)$/s.exec(part) ?? [];
    if (code === undefined) throw new PackError("Invalid format type /");
    fields.push({ code, repeat: repeatOf(repeat), name: name! });
  }
  return fields;
});

function repeatOf(text: string | undefined): Field["repeat"] {
  return text === undefined || text === "*" ? text : Number(text);
}

/** Packs `args` as `format` says; throws a PackError. */
export function pack(format: string, args: PackArgument[]): Uint8Array {
  const writer = new Writer();
  let used = 0;
  for (const { code, repeat } of packFields(format)) {
    const number = numberCodes.get(code);
    if (number !== undefined) {
      const count = repeat === "*" ? args.length - used : (repeat ?? 1);
      if (count > args.length - used) throw new PackError(`Type ${code}: too few arguments`);
      for (let i = 0; i < count; i++) {
        const at = writer.grow(number.size);
        number.write(writer.view, at, number.convert(code, args[used++]!));
      }
    } else if (isText(code)) {
      const arg = args[used++];
      if (arg === undefined) throw new PackError(`Type ${code}: not enough arguments`);
      packText(writer, code, repeat, typeof arg === "number" ? Buffer.from(String(arg)) : arg);
    } else {
      packMove(writer, code, repeat);
    }
  }
  if (used < args.length) throw new PackError(`${args.length - used} arguments unused`);
  return writer.bytes();
}

function isText(code: string): boolean {
  return code === "a" || code === "A" || code === "Z" || code === "h" || code === "H";
}

function packText(writer: Writer, code: string, repeat: Field["repeat"], bytes: Uint8Array): void {
  if (code === "h" || code === "H") {
    const digits = repeat === "*" ? bytes.length : (repeat ?? 1);
    if (digits > bytes.length) throw new PackError(`Type ${code}: not enough characters in string`);
    packHex(writer, code, bytes, digits);
    return;
  }
  const length = repeat === "*" ? bytes.length + (code === "Z" ? 1 : 0) : (repeat ?? 1);
  const at = writer.grow(length);
  // Z keeps its last byte for the terminating NUL.
  const copied = Math.min(bytes.length, code === "Z" ? Math.max(length - 1, 0) : length);
  writer.buffer.set(bytes.subarray(0, copied), at);
  writer.buffer.fill(code === "A" ? 0x20 : 0, at + copied, at + length);
}

function packHex(writer: Writer, code: string, bytes: Uint8Array, digits: number): void {
  const at = writer.grow(Math.ceil(digits / 2));
  for (let i = 0; i < digits; i++) {
    const digit = Number.parseInt(String.fromCharCode(bytes[i]!), 16);
    if (Number.isNaN(digit)) throw new PackError(`Type ${code}: illegal hex digit ${String.fromCharCode(bytes[i]!)}`);
    const high = (i % 2 === 0) === (code === "H");
    writer.buffer[at + (i >> 1)]! |= high ? digit << 4 : digit;
  }
}

/** x: NUL bytes; X: back; @: to an absolute position, filling with NUL. */
function packMove(writer: Writer, code: string, repeat: Field["repeat"]): void {
  if (code !== "x" && code !== "X" && code !== "@") throw new PackError(`Type ${code}: unknown format code`);
  if (repeat === "*") throw new PackError(`Type ${code}: '*' has no meaning here`);
  const count = repeat ?? 1;
  const target = code === "@" ? count : writer.position + (code === "x" ? count : -count);
  if (target < 0) throw new PackError(`Type ${code}: outside of string`);
  writer.moveTo(target);
}

class Writer {
  buffer = new Uint8Array(64);
  view = new DataView(this.buffer.buffer);
  position = 0;

  /** Makes room for `size` zero bytes and returns where they begin. */
  grow(size: number): number {
    const at = this.position;
    this.moveTo(at + size);
    return at;
  }

  moveTo(position: number): void {
    if (position > LARGEST_RESULT) throw new PackError(`the result would be larger than ${LARGEST_RESULT} bytes`);
    if (position > this.buffer.length) {
      const larger = new Uint8Array(Math.max(position, this.buffer.length * 2));
      larger.set(this.buffer);
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    }
    if (position < this.position) this.buffer.fill(0, position, this.position);
    this.position = position;
  }

  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.position);
  }
}

/** Reads `bytes` as `format` says; throws a PackError. Later values replace earlier ones of the same key, as in PHP. */
export function unpack(format: string, bytes: Uint8Array): Unpacked[] {
  const values: Unpacked[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let position = 0;
  for (const field of unpackFields(format)) {
    const { code, repeat } = field;
    const number = numberCodes.get(code);
    if (number !== undefined) {
      const count = repeat === "*" ? Math.floor((bytes.length - position) / number.size) : (repeat ?? 1);
      if (values.length + count > MOST_VALUES) throw new PackError(`Type ${code}: more than ${MOST_VALUES} values`);
      for (let i = 1; i <= count; i++) {
        need(code, number.size, bytes.length - position);
        values.push([keyOf(field, i), wholeNumber(number.read(view, position))]);
        position += number.size;
      }
    } else if (isText(code)) {
      const left = bytes.length - position;
      const hex = code === "h" || code === "H";
      const size = repeat === "*" ? left : hex ? Math.ceil((repeat ?? 1) / 2) : (repeat ?? 1);
      need(code, size, left);
      const part = bytes.subarray(position, position + size);
      const text = hex ? unpackHex(code, part, repeat === "*" ? size * 2 : (repeat ?? 1)) : trimmed(code, part);
      values.push([keyOf(field, undefined), text]);
      position += size;
    } else {
      position = unpackMove(code, repeat, position, bytes.length);
    }
  }
  return values;
}

function need(code: string, size: number, left: number): void {
  if (size > left) throw new PackError(`Type ${code}: not enough input, need ${size}, have ${left}`);
}

/** The name, numbered when the repeater is not 1; without a name just the number. */
function keyOf(field: Field, index: number | undefined): string | number {
  if (field.name === "") return index ?? 1;
  const key = index === undefined || (field.repeat ?? 1) === 1 ? field.name : field.name + index;
  return /^(?:0|-?[1-9]\d{0,8})$/.test(key) ? Number(key) : key;
}

function unpackHex(code: string, part: Uint8Array, digits: number): Uint8Array {
  const text = new Uint8Array(digits);
  for (let i = 0; i < digits; i++) {
    const byte = part[i >> 1]!;
    const high = (i % 2 === 0) === (code === "H");
    text[i] = "0123456789abcdef".charCodeAt(high ? byte >> 4 : byte & 15);
  }
  return text;
}

/** a: as it is; A: without trailing white space and NUL; Z: up to the first NUL. */
function trimmed(code: string, part: Uint8Array): Uint8Array {
  if (code === "a") return part;
  if (code === "Z") {
    const nul = part.indexOf(0);
    return nul < 0 ? part : part.subarray(0, nul);
  }
  let end = part.length;
  while (end > 0 && [0x00, 0x09, 0x0a, 0x0d, 0x20].includes(part[end - 1]!)) end--;
  return part.subarray(0, end);
}

/** x: forward; X: back, at most to the beginning; @: to an absolute position. */
function unpackMove(code: string, repeat: Field["repeat"], position: number, length: number): number {
  if (code !== "x" && code !== "X" && code !== "@") throw new PackError(`Invalid format type ${code}`);
  if (repeat === "*") throw new PackError(`Type ${code}: '*' has no meaning here`);
  const count = repeat ?? 1;
  if (code === "X") return Math.max(0, position - count);
  if (code === "x") {
    need(code, count, length - position);
    return position + count;
  }
  if (count > length) throw new PackError(`Type @: outside of string`);
  // A repeater of 0 does nothing for any letter, in PHP for @ too.
  return count === 0 ? position : count;
}
