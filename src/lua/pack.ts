import { bytesArgument, integerArgument, numberArgument } from "./arguments.ts";
import { latin1 } from "./latin1.ts";
import { Pieces } from "./pieces.ts";
import { remembered } from "./remembered.ts";
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

/** "none" only says something about what follows. */
type Kind = "signed" | "unsigned" | "float" | "fixed" | "counted" | "zero" | "padding" | "align" | "none";

interface Option {
  kind: Kind;
  /** Bytes; of the count for "counted". */
  size: number;
  /** It begins at a multiple of it, a power of 2. */
  boundary: number;
  little: boolean;
}

const FIXED: Record<string, [kind: Kind, size: number]> = {
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
  z: ["zero", 0],
  x: ["padding", 1],
  X: ["align", 0],
};
/** Letters that may be followed by a size, and what they are without. */
const SIZED: Record<string, [kind: Kind, size: number]> = { i: ["signed", 4], I: ["unsigned", 4], s: ["counted", 8] };
const ALIGNED = new Set<Kind>(["signed", "unsigned", "float", "counted"]);
const LARGEST_INTEGER = 16;

class FormatError extends Error {}

/** The options of a format, one after the other. Throws a FormatError. */
const optionsOf = remembered((format) => {
  const options: Option[] = [];
  let little = true;
  let alignment = 1;
  let rest = format;

  while (rest !== "") {
    const [kind, size] = read();
    if (kind === "none") continue;
    const aligned = kind === "align" ? read() : ([kind, size] as const);
    if (kind === "align" && !ALIGNED.has(aligned[0])) throw new FormatError("invalid next option for option 'X'");
    const boundary = ALIGNED.has(aligned[0]) ? Math.min(aligned[1], alignment) : 1;
    if ((boundary & (boundary - 1)) !== 0) throw new FormatError("format asks for alignment not power of 2");
    options.push({ kind, size, boundary, little });
  }
  return options;

  function read(): readonly [kind: Kind, size: number] {
    const [all, letter, digits] = /^(.)(\d{0,9})/s.exec(rest) ?? ["", "", ""];
    const given = digits === "" ? undefined : Number(digits);
    const sized = Object.hasOwn(SIZED, letter!) || letter === "c" || letter === "!";
    rest = rest.slice(sized ? all.length : 1);
    if (Object.hasOwn(FIXED, letter!)) return FIXED[letter!]!;
    if (Object.hasOwn(SIZED, letter!)) {
      const [kind, size] = SIZED[letter!]!;
      return [kind, limited(given ?? size)];
    }
    if (letter === "c") {
      if (given === undefined) throw new FormatError("missing size for format option 'c'");
      return ["fixed", given];
    }
    if (letter === "!") alignment = limited(given ?? 8);
    else if (letter === "<" || letter === "=") little = true;
    else if (letter === ">") little = false;
    else if (letter !== " ") throw new FormatError(`invalid format option '${letter}'`);
    return ["none", 0];
  }
});

function limited(size: number): number {
  if (size >= 1 && size <= LARGEST_INTEGER) return size;
  throw new FormatError(`integral size (${size}) out of limits [1,${LARGEST_INTEGER}]`);
}

function formatArgument(L: LuaState): Option[] {
  try {
    return optionsOf(latin1(bytesArgument(L, 1)));
  } catch (thrown) {
    if (thrown instanceof FormatError) return L.argError(1, thrown.message);
    throw thrown;
  }
}

/** Bytes to skip at `position`. */
function gap({ boundary }: Option, position: number): number {
  return (boundary - (position & (boundary - 1))) & (boundary - 1);
}

function pack(L: LuaState): number {
  const pieces = new Pieces(L);
  let arg = 1;
  for (const option of formatArgument(L)) {
    const { kind, size, little } = option;
    const before = gap(option, pieces.length);
    if (before > 0) pieces.add(new Uint8Array(before));
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
  if (size <= 4) {
    for (let i = 0; i < size; i++) bytes[little ? i : size - 1 - i] = number >> (8 * i);
    return bytes;
  }
  let rest = BigInt(number);
  for (let i = 0; i < size; i++) {
    bytes[little ? i : size - 1 - i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

function packsize(L: LuaState): number {
  let total = 0;
  for (const option of formatArgument(L)) {
    if (option.kind === "counted" || option.kind === "zero") L.argError(1, "variable-size format in packsize");
    total += gap(option, total) + option.size;
    if (total > 2 ** 31) L.argError(1, "format result too large");
  }
  L.pushNumber(total);
  return 1;
}

function unpack(L: LuaState): number {
  const options = formatArgument(L);
  const bytes = bytesArgument(L, 2);
  const start = integerArgument(L, 3, 1);
  let position = start > 0 ? start - 1 : start === 0 ? 0 : bytes.length + start;
  if (position < 0 || position > bytes.length) L.argError(3, "initial position out of string");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 0;
  for (const option of options) {
    const { kind, size, little } = option;
    const before = gap(option, position);
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
    if (kind !== "padding" && kind !== "align") count++;
    position += size;
  }
  L.pushNumber(position + 1);
  return count + 1;
}

function integerAt(L: LuaState, bytes: Uint8Array, little: boolean, signed: boolean): number {
  const { length } = bytes;
  if (length <= 6) {
    let number = 0;
    for (let i = 0; i < length; i++) number = number * 256 + bytes[little ? length - 1 - i : i]!;
    return signed && number >= 2 ** (8 * length - 1) ? number - 2 ** (8 * length) : number;
  }
  const highFirst = little ? bytes.toReversed() : bytes;
  let bits = 0n;
  for (const byte of highFirst) bits = (bits << 8n) | BigInt(byte);
  const number = Number(signed ? BigInt.asIntN(8 * length, bits) : bits);
  if (Number.isSafeInteger(number)) return number;
  return L.error(
    `${length}-byte integer is beyond 2^53, more than a number holds: mix.php_unpack gives it as a string`,
  );
}
