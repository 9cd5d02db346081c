import { bytesArgument, integerArgument, numberArgument } from "./arguments.ts";
import { Pieces } from "./pieces.ts";
import type { HostFunction, LuaState } from "./state.ts";

/**
 * `string.pack`, `string.packsize` and `string.unpack` (reference manual 5.3, section 6.4.2) for numbers that are doubles, with the
 * sizes of 64-bit C; fengari's have integers of 32 bits, so an I4 comes out negative.
 */
export function installPack(L: LuaState): void {
  for (const [name, fn] of Object.entries<HostFunction>({ pack, packsize, unpack })) {
    L.pushFunction(fn);
    L.setField(-2, name);
  }
}

type Kind = "signed" | "unsigned" | "float" | "fixed" | "counted" | "zero" | "padding" | "align" | "none";

interface Option {
  kind: Kind;
  /** Bytes; of the count for "counted". */
  size: number;
  /** Bytes to skip before it. */
  before: number;
  little: boolean;
}

const INTEGERS: Record<string, [kind: Kind, size: number]> = {
  b: ["signed", 1],
  B: ["unsigned", 1],
  h: ["signed", 2],
  H: ["unsigned", 2],
  l: ["signed", 8],
  L: ["unsigned", 8],
  j: ["signed", 8],
  J: ["unsigned", 8],
  T: ["unsigned", 8],
  f: ["float", 4],
  d: ["float", 8],
  n: ["float", 8],
};
/** Letters that may be followed by a size, and what they are without. */
const SIZED: Record<string, [kind: Kind, size: number]> = { i: ["signed", 4], I: ["unsigned", 4], s: ["counted", 8] };
const LARGEST_INTEGER = 16;

/** The options of a format, one after the other. */
class Format {
  #at = 0;
  #little = true;
  #alignment = 1;

  constructor(
    private readonly L: LuaState,
    private readonly text: string,
  ) {}

  /** `position` is where the option would begin without alignment; `undefined` at the end of the format. */
  next(position: number): Option | undefined {
    if (this.#at >= this.text.length) return undefined;
    const [kind, size] = this.#read();
    let [aligned, alignment] = [kind, size];
    if (kind === "align") {
      if (this.#at < this.text.length) [aligned, alignment] = this.#read();
      if (aligned === "fixed" || aligned === "align" || alignment === 0)
        this.#invalid("invalid next option for option 'X'");
    }
    const option: Option = { kind, size: kind === "align" ? 0 : size, before: 0, little: this.#little };
    if (!["signed", "unsigned", "float", "counted", "align"].includes(kind)) return option;
    const boundary = Math.min(alignment, this.#alignment);
    if (boundary > 1) {
      if ((boundary & (boundary - 1)) !== 0) this.#invalid("format asks for alignment not power of 2");
      option.before = (boundary - (position & (boundary - 1))) & (boundary - 1);
    }
    return option;
  }

  #read(): [kind: Kind, size: number] {
    const letter = this.text[this.#at++]!;
    if (Object.hasOwn(INTEGERS, letter)) return INTEGERS[letter]!;
    if (Object.hasOwn(SIZED, letter)) {
      const [kind, size] = SIZED[letter]!;
      return [kind, this.#limited(this.#number() ?? size)];
    }
    switch (letter) {
      case "c":
        return ["fixed", this.#number() ?? this.#invalid("missing size for format option 'c'")];
      case "z":
        return ["zero", 0];
      case "x":
        return ["padding", 1];
      case "X":
        return ["align", 0];
      case " ":
        break;
      case "<":
      case "=":
        this.#little = true;
        break;
      case ">":
        this.#little = false;
        break;
      case "!":
        this.#alignment = this.#limited(this.#number() ?? 8);
        break;
      default:
        return this.#invalid(`invalid format option '${letter}'`);
    }
    return ["none", 0];
  }

  #number(): number | undefined {
    const digits = /^\d{1,9}/.exec(this.text.slice(this.#at, this.#at + 9))?.[0];
    if (digits === undefined) return undefined;
    this.#at += digits.length;
    return Number(digits);
  }

  #limited(size: number): number {
    return size >= 1 && size <= LARGEST_INTEGER
      ? size
      : this.#invalid(`integral size (${size}) out of limits [1,${LARGEST_INTEGER}]`);
  }

  #invalid(message: string): never {
    return this.L.argError(1, message);
  }
}

function formatArgument(L: LuaState): Format {
  return new Format(L, Buffer.from(bytesArgument(L, 1)).toString("latin1"));
}

function pack(L: LuaState): number {
  const format = formatArgument(L);
  const pieces = new Pieces(L);
  let arg = 1;
  for (let option = format.next(0); option !== undefined; option = format.next(pieces.length)) {
    const { kind, size, before, little } = option;
    pieces.add(new Uint8Array(before));
    if (kind === "signed" || kind === "unsigned") {
      pieces.add(integerBytes(checkedInteger(L, ++arg, kind, size), size, little));
    } else if (kind === "float") {
      const view = new DataView(new ArrayBuffer(size));
      if (size === 4) view.setFloat32(0, numberArgument(L, ++arg), little);
      else view.setFloat64(0, numberArgument(L, ++arg), little);
      pieces.add(new Uint8Array(view.buffer));
    } else if (kind === "fixed") {
      const bytes = bytesArgument(L, ++arg);
      if (bytes.length > size) L.argError(arg, "string longer than given size");
      pieces.add(bytes);
      pieces.add(new Uint8Array(size - bytes.length));
    } else if (kind === "counted") {
      const bytes = bytesArgument(L, ++arg);
      if (bytes.length >= 2 ** (8 * size)) L.argError(arg, "string length does not fit in given size");
      pieces.add(integerBytes(bytes.length, size, little));
      pieces.add(bytes);
    } else if (kind === "zero") {
      const bytes = bytesArgument(L, ++arg);
      if (bytes.includes(0)) L.argError(arg, "string contains zeros");
      pieces.add(bytes);
      pieces.add(new Uint8Array(1));
    } else pieces.add(new Uint8Array(size));
  }
  L.pushBytes(pieces.joined());
  return 1;
}

/** Unsigned ones of four and eight bytes also take what the operators of bits give, which is signed. */
function checkedInteger(L: LuaState, arg: number, kind: Kind, size: number): number {
  const number = integerArgument(L, arg);
  const bits = 8 * size;
  if (kind === "signed") {
    if (number < -(2 ** (bits - 1)) || number >= 2 ** (bits - 1)) L.argError(arg, "integer overflow");
  } else if (number >= 2 ** bits || (number < 0 && !(number >= -(2 ** 31) && (size === 4 || size === 8)))) {
    L.argError(arg, "unsigned overflow");
  }
  return number;
}

function integerBytes(number: number, size: number, little: boolean): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt(number);
  for (let i = 0; i < size; i++) {
    bytes[little ? i : size - 1 - i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

function packsize(L: LuaState): number {
  const format = formatArgument(L);
  let total = 0;
  for (let option = format.next(0); option !== undefined; option = format.next(total)) {
    if (option.kind === "counted" || option.kind === "zero") L.argError(1, "variable-size format in packsize");
    total += option.before + option.size;
    if (total > 2 ** 31) L.argError(1, "format result too large");
  }
  L.pushNumber(total);
  return 1;
}

function unpack(L: LuaState): number {
  const format = formatArgument(L);
  const bytes = bytesArgument(L, 2);
  const start = integerArgument(L, 3, 1);
  let position = start > 0 ? start - 1 : start === 0 ? 0 : bytes.length + start;
  if (position < 0 || position > bytes.length) L.argError(3, "initial position out of string");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 0;
  for (let option = format.next(position); option !== undefined; option = format.next(position)) {
    const { kind, size, before, little } = option;
    if (before + size > bytes.length - position) L.argError(2, "data string too short");
    position += before;
    const end = position + size;
    if (kind === "signed" || kind === "unsigned") {
      L.pushNumber(integerAt(L, bytes.subarray(position, end), little, kind === "signed"));
    } else if (kind === "float") {
      L.pushNumber(size === 4 ? view.getFloat32(position, little) : view.getFloat64(position, little));
    } else if (kind === "fixed") L.pushBytes(bytes.slice(position, end));
    else if (kind === "counted") {
      const length = integerAt(L, bytes.subarray(position, end), little, false);
      if (length > bytes.length - end) L.argError(2, "data string too short");
      L.pushBytes(bytes.slice(end, end + length));
      position += length;
    } else if (kind === "zero") {
      const zero = bytes.indexOf(0, position);
      if (zero < 0) L.argError(2, "unfinished string for format 'z'");
      L.pushBytes(bytes.slice(position, zero));
      position = zero + 1;
    }
    if (kind !== "padding" && kind !== "align" && kind !== "none") count++;
    position += size;
  }
  L.pushNumber(position + 1);
  return count + 1;
}

function integerAt(L: LuaState, bytes: Uint8Array, little: boolean, signed: boolean): number {
  const { length } = bytes;
  const highFirst = little ? bytes.toReversed() : bytes;
  if (length <= 6) {
    let number = 0;
    for (const byte of highFirst) number = number * 256 + byte;
    return signed && highFirst[0]! >= 0x80 ? number - 2 ** (8 * length) : number;
  }
  let bits = 0n;
  for (const byte of highFirst) bits = (bits << 8n) | BigInt(byte);
  const number = Number(signed ? BigInt.asIntN(8 * length, bits) : bits);
  if (Number.isSafeInteger(number)) return number;
  return L.error(
    `${length}-byte integer is beyond 2^53, more than a number holds: mix.php_unpack gives it as a string`,
  );
}
