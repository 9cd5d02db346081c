/** What is packed: a number, or the bytes of a string. */
export type PackArgument = number | Uint8Array;

/** Why a format, or a value given for it, cannot be packed or unpacked. */
export class PackError extends Error {}

/** How a number letter of PHP's pack formats is stored. */
interface NumberCode<T extends number | bigint = number | bigint> {
  /** Bytes. */
  size: number;
  /** What `write` takes; throws a PackError. */
  convert(code: string, argument: PackArgument): T;
  /** Integers are taken modulo the width, by DataView as by PHP. */
  write(view: DataView, at: number, value: T): void;
  read(view: DataView, at: number): T;
}

const BIG = false;
const LITTLE = true;

/** By letter; the machine-dependent ones are those of 64-bit little-endian PHP. */
export const numberCodes = new Map<string, NumberCode>([
  ["c", byte((view, at) => view.getInt8(at))],
  ["C", byte((view, at) => view.getUint8(at))],
  ["s", signed16()],
  ["S", unsigned16(LITTLE)],
  ["n", unsigned16(BIG)],
  ["v", unsigned16(LITTLE)],
  ["i", signed32()],
  ["I", unsigned32(LITTLE)],
  ["l", signed32()],
  ["L", unsigned32(LITTLE)],
  ["N", unsigned32(BIG)],
  ["V", unsigned32(LITTLE)],
  ["q", signed64()],
  ["Q", unsigned64(LITTLE)],
  ["J", unsigned64(BIG)],
  ["P", unsigned64(LITTLE)],
  ["f", float32(LITTLE)],
  ["g", float32(LITTLE)],
  ["G", float32(BIG)],
  ["d", float64(LITTLE)],
  ["e", float64(LITTLE)],
  ["E", float64(BIG)],
]);

/** A 64-bit integer as a number where that is exact. */
export function wholeNumber(value: number | bigint): number | bigint {
  const number = Number(value);
  return typeof value === "number" || Number.isSafeInteger(number) ? number : value;
}

function byte(read: NumberCode<number>["read"]): NumberCode<number> {
  return { size: 1, convert: integer, write: (view, at, n) => view.setInt8(at, n), read };
}

function signed16(): NumberCode<number> {
  return {
    size: 2,
    convert: integer,
    write: (view, at, n) => view.setInt16(at, n, LITTLE),
    read: (view, at) => view.getInt16(at, LITTLE),
  };
}

function unsigned16(order: boolean): NumberCode<number> {
  return {
    size: 2,
    convert: integer,
    write: (view, at, n) => view.setUint16(at, n, order),
    read: (view, at) => view.getUint16(at, order),
  };
}

function signed32(): NumberCode<number> {
  return {
    size: 4,
    convert: integer,
    write: (view, at, n) => view.setInt32(at, n, LITTLE),
    read: (view, at) => view.getInt32(at, LITTLE),
  };
}

function unsigned32(order: boolean): NumberCode<number> {
  return {
    size: 4,
    convert: integer,
    write: (view, at, n) => view.setUint32(at, n, order),
    read: (view, at) => view.getUint32(at, order),
  };
}

function signed64(): NumberCode<bigint> {
  return {
    size: 8,
    convert: bigInteger,
    write: (view, at, n) => view.setBigInt64(at, n, LITTLE),
    read: (view, at) => view.getBigInt64(at, LITTLE),
  };
}

function unsigned64(order: boolean): NumberCode<bigint> {
  return {
    size: 8,
    convert: bigInteger,
    write: (view, at, n) => view.setBigUint64(at, n, order),
    read: (view, at) => view.getBigUint64(at, order),
  };
}

function float32(order: boolean): NumberCode<number> {
  return {
    size: 4,
    convert: float,
    write: (view, at, n) => view.setFloat32(at, n, order),
    read: (view, at) => view.getFloat32(at, order),
  };
}

function float64(order: boolean): NumberCode<number> {
  return {
    size: 8,
    convert: float,
    write: (view, at, n) => view.setFloat64(at, n, order),
    read: (view, at) => view.getFloat64(at, order),
  };
}

function float(code: string, argument: PackArgument): number {
  if (typeof argument === "number") return argument;
  const text = Buffer.from(argument).toString("latin1").trim();
  const number = text === "" ? Number.NaN : Number(text);
  if (Number.isNaN(number))
    throw new PackError(`Type ${code}: a number expected, got the string ${JSON.stringify(text)}`);
  return number;
}

/** A whole number or a string that reads as one; fractions are cut, as in PHP. */
function integer(code: string, argument: PackArgument): number {
  const number = Math.trunc(float(code, argument));
  if (!Number.isFinite(number)) throw new PackError(`Type ${code}: a finite number expected, got ${number}`);
  return number;
}

/** Like `integer`; a decimal string is exact beyond 2^53. */
function bigInteger(code: string, argument: PackArgument): bigint {
  if (typeof argument !== "number") {
    const text = Buffer.from(argument).toString("latin1");
    if (/^[+-]?\d{1,20}$/.test(text)) return BigInt(text.replace("+", ""));
  }
  return BigInt(integer(code, argument));
}
