import { anyArgument, bytesArgument, integerArgument, numberArgument } from "./arguments.ts";
import { latin1 } from "./latin1.ts";
import { MAX_STRING, tooLarge } from "./pieces.ts";
import { remembered } from "./remembered.ts";
import type { LuaState } from "./state.ts";

/** One conversion of a format: `%[flags][width][.precision]letter`. */
interface Directive {
  /** As it stands in the format. */
  written: string;
  flags: string;
  width: number;
  precision: number | undefined;
  letter: string;
}

/** Answers one character a byte. */
type Conversion = (L: LuaState, arg: number, directive: Directive) => string;

const DIRECTIVE = /%(?:%|([-+ #0]*)(\d*)(?:\.(\d*))?(.?))/gs;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
const UNPRINTABLE = /["\\\n]|[\0-\x1f\x7f](?=(\d?))/g;

/**
 * Sets `string.format` (reference manual 5.3, section 6.4) in the library on top of the stack. fengari's own formats %g and %e in
 * ways of its own and whole numbers up to 32 bits only.
 */
export function installFormat(L: LuaState): void {
  L.getGlobal("tostring");
  L.pushFunction(format, 1);
  L.setField(-2, "format");
}

function format(L: LuaState): number {
  let arg = 1;
  let result = "";
  for (const part of partsOf(latin1(bytesArgument(L, 1)))) {
    result += typeof part === "string" ? part : convert(L, ++arg, part);
    if (result.length > MAX_STRING) tooLarge(L);
  }
  L.pushBytes(Buffer.from(result, "latin1"));
  return 1;
}

/** What of a format stands for itself, and its directives. */
const partsOf = remembered((template) => {
  const parts: (string | Directive)[] = [];
  let plain = 0;
  for (const { 0: written, 1: flags = "", 2: width = "", 3: precision, 4: letter, index } of template.matchAll(
    DIRECTIVE,
  )) {
    if (index > plain) parts.push(template.slice(plain, index));
    plain = index + written.length;
    if (letter === undefined) parts.push("%");
    else {
      const digits = precision === undefined ? undefined : Number(precision);
      parts.push({ written, flags, width: Number(width), precision: digits, letter });
    }
  }
  if (plain < template.length) parts.push(template.slice(plain));
  return parts;
});

function convert(L: LuaState, arg: number, directive: Directive): string {
  const { written, flags, width, precision = 0, letter } = directive;
  if (flags.length > 5) L.error("invalid format (repeated flags)");
  if (width > 99 || precision > 99) L.error("invalid format (width or precision too long)");
  const conversion = Object.hasOwn(CONVERSIONS, letter) ? CONVERSIONS[letter]! : undefined;
  return conversion === undefined ? L.error(`invalid option '${written}' to 'format'`) : conversion(L, arg, directive);
}

const CONVERSIONS: Record<string, Conversion> = {
  c: (L, arg, directive) => aligned(String.fromCharCode(integerArgument(L, arg) & 0xff), directive),
  d: signed,
  i: signed,
  u: (L, arg, directive) => unsigned(L, arg, directive, 10),
  o: (L, arg, directive) => unsigned(L, arg, directive, 8),
  x: (L, arg, directive) => unsigned(L, arg, directive, 16),
  X: (L, arg, directive) => unsigned(L, arg, directive, 16).toUpperCase(),
  e: (L, arg, directive) => float(L, arg, directive, exponential),
  E: (L, arg, directive) => float(L, arg, directive, exponential).toUpperCase(),
  f: (L, arg, directive) => float(L, arg, directive, fixed),
  F: (L, arg, directive) => float(L, arg, directive, fixed),
  g: (L, arg, directive) => float(L, arg, directive, shortest),
  G: (L, arg, directive) => float(L, arg, directive, shortest).toUpperCase(),
  a: (L, arg, directive) => float(L, arg, directive, hexadecimal),
  A: (L, arg, directive) => float(L, arg, directive, hexadecimal).toUpperCase(),
  q: quoted,
  s: text,
};

function signed(L: LuaState, arg: number, directive: Directive): string {
  const number = integerArgument(L, arg);
  const digits = whole(Math.abs(number)).toString();
  return withSign(directive, sign(number < 0, directive), digits.padStart(directive.precision ?? 0, "0"), true);
}

/** What writes all digits of a whole number. */
function whole(number: number): number | bigint {
  return Number.isSafeInteger(number) ? number : BigInt(number);
}

/** Negative numbers are taken as the operators of bits give them, with 32 bits, when they fit; otherwise with 64. */
function unsigned(L: LuaState, arg: number, directive: Directive, base: 8 | 10 | 16): string {
  const number = integerArgument(L, arg);
  const bits = number >= -(2 ** 31) ? 32 : 64;
  const digits = (number < 0 ? BigInt.asUintN(bits, BigInt(number)) : whole(number)).toString(base);
  const prefix = directive.flags.includes("#") && number !== 0 ? { 8: "0", 10: "", 16: "0x" }[base] : "";
  return withSign(directive, prefix, digits.padStart(directive.precision ?? 0, "0"), true);
}

function float(
  L: LuaState,
  arg: number,
  directive: Directive,
  digits: (size: number, directive: Directive) => string,
): string {
  const number = numberArgument(L, arg);
  const minus = sign(number < 0 || Object.is(number, -0), directive);
  if (Number.isNaN(number)) return aligned(`${sign(false, directive)}nan`, directive);
  if (!Number.isFinite(number)) return aligned(`${minus}inf`, directive);
  return withSign(directive, minus, digits(Math.abs(number), directive), false);
}

function fixed(size: number, { precision = 6, flags }: Directive): string {
  const digits =
    size < 1e21 ? size.toFixed(precision) : `${BigInt(size)}${precision > 0 ? `.${"0".repeat(precision)}` : ""}`;
  return precision === 0 && flags.includes("#") ? `${digits}.` : digits;
}

function exponential(size: number, { precision = 6, flags }: Directive): string {
  const [digits, exponent] = size.toExponential(precision).split("e") as [string, string];
  const point = precision === 0 && flags.includes("#") ? "." : "";
  return `${digits}${point}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** %g: fixed or exponential, whichever is shorter, without trailing zeros unless the flag "#" asks for them. */
function shortest(size: number, directive: Directive): string {
  const precision = directive.precision === 0 ? 1 : (directive.precision ?? 6);
  const exponent = Number(size.toExponential(precision - 1).split("e")[1]);
  const digits =
    exponent < -4 || exponent >= precision
      ? exponential(size, { ...directive, precision: precision - 1 })
      : fixed(size, { ...directive, precision: precision - 1 - exponent });
  return directive.flags.includes("#") ? digits : digits.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "");
}

/** %a: all digits a double has; the precision is not looked at. */
function hexadecimal(size: number): string {
  if (size === 0) return "0x0p+0";
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, size);
  const biased = bits.getUint16(0) >> 4;
  const mantissa = (bits.getBigUint64(0) & 0xfffffffffffffn).toString(16).padStart(13, "0").replace(/0+$/, "");
  const exponent = biased === 0 ? -1022 : biased - 1023;
  return `0x${biased === 0 ? 0 : 1}${mantissa && `.${mantissa}`}p${exponent < 0 ? "-" : "+"}${Math.abs(exponent)}`;
}

function sign(negative: boolean, { flags }: Directive): string {
  if (negative) return "-";
  if (flags.includes("+")) return "+";
  return flags.includes(" ") ? " " : "";
}

/** Zeros stand between sign and digits; a precision makes whole numbers ignore them. */
function withSign(directive: Directive, prefix: string, digits: string, whole: boolean): string {
  const { flags, width, precision } = directive;
  const zeros = flags.includes("0") && !flags.includes("-") && !(whole && precision !== undefined);
  return aligned(prefix + (zeros ? digits.padStart(width - prefix.length, "0") : digits), directive);
}

function aligned(shown: string, { flags, width }: Directive): string {
  return flags.includes("-") ? shown.padEnd(width) : shown.padStart(width);
}

/** As `tostring` shows it. */
function text(L: LuaState, arg: number, directive: Directive): string {
  anyArgument(L, arg);
  let bytes = L.toBytes(arg);
  if (bytes === undefined) {
    L.pushValue(L.upvalue(1));
    L.pushValue(arg);
    L.call(1, 1);
    bytes = L.toBytes(-1)!;
    L.pop();
  }
  return aligned(latin1(bytes).slice(0, directive.precision), directive);
}

/** A literal that Lua reads back as the same value. */
function quoted(L: LuaState, arg: number): string {
  switch (L.type(arg)) {
    case "string":
      return `"${latin1(L.toBytes(arg)!).replace(UNPRINTABLE, escaped)}"`;
    case "number":
      return literal(L.toNumber(arg)!);
    case "nil":
      return "nil";
    case "boolean":
      return String(L.toBoolean(arg));
    default:
      anyArgument(L, arg);
      return L.argError(arg, "value has no literal form");
  }
}

function escaped(c: string, digit: string | undefined): string {
  if (c === '"' || c === "\\" || c === "\n") return `\\${c}`;
  const code = String(c.charCodeAt(0));
  return `\\${digit ? code.padStart(3, "0") : code}`;
}

function literal(number: number): string {
  if (Number.isNaN(number)) return "(0/0)";
  if (!Number.isFinite(number)) return number < 0 ? "-1e9999" : "1e9999";
  if (Number.isSafeInteger(number)) return String(number);
  return (number < 0 ? "-" : "") + hexadecimal(Math.abs(number));
}
