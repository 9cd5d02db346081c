import { isUtf8 } from "node:buffer";
import { allocation } from "./allocation.ts";

/**
 * A Lua string that remembers where it came from: text of the host stays text until Lua looks at its bytes, and bytes become
 * text once. An echoed message therefore crosses the VM without being converted at all. It takes the place of fengari's
 * own string class (see fengari-modules.ts).
 */
export class LuaString {
  #bytes: Uint8Array | undefined;
  /** The same as text, once known to be well-formed. */
  #text: string | undefined;
  /** The bytes as Latin-1: the table key, which also orders as the bytes do. */
  #key: string | undefined = undefined;

  /** Exactly one is given. `text` must be well-formed. `bytes` are not copied. */
  constructor(bytes: Uint8Array | undefined, text: string | undefined) {
    this.#bytes = bytes;
    this.#text = text;
    if (bytes !== undefined) allocation.bytes += bytes.length;
  }

  get key(): string {
    if (this.#key !== undefined) return this.#key;
    const text = this.#text;
    this.#key = text !== undefined && isAscii(text) ? text : latin1(this.getstr());
    return this.#key;
  }

  /** The bytes, as fengari calls them. */
  getstr(): Uint8Array {
    this.#bytes ??= encoder.encode(this.#text);
    return this.#bytes;
  }

  /** The length in bytes, as fengari calls it. */
  tsslen(): number {
    return this.#bytes === undefined ? this.getstr().length : this.#bytes.length;
  }

  equals(other: LuaString): boolean {
    if (this === other) return true;
    if (this.#text !== undefined && this.#text === other.#text) return true;
    if (this.#key !== undefined && other.#key !== undefined) return this.#key === other.#key;
    const a = this.getstr();
    const b = other.getstr();
    if (a.length !== b.length) return false;
    return a.length <= SHORT ? this.key === other.key : Buffer.compare(a, b) === 0;
  }

  /** Malformed bytes become U+FFFD. */
  get text(): string {
    return this.strictText ?? lossyDecoder.decode(this.#bytes);
  }

  /** Whether the bytes are well-formed UTF-8. */
  get isText(): boolean {
    return this.#text !== undefined || isUtf8(this.getstr());
  }

  /** `undefined` when the bytes are not well-formed UTF-8. */
  get strictText(): string | undefined {
    if (this.#text !== undefined) return this.#text;
    const bytes = this.getstr();
    if (bytes.length <= SHORT) {
      const key = this.key;
      if (isAscii(key)) {
        this.#text = key;
        return key;
      }
    }
    if (!isUtf8(bytes)) return undefined;
    const text = lossyDecoder.decode(bytes);
    // A long text is not kept beside its bytes: it would double what a big string holds.
    if (bytes.length <= LONG) this.#text = text;
    return text;
  }
}

const SHORT = 128;
const LONG = 4096;
const encoder = new TextEncoder();
const lossyDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every ASCII character is meant, NUL included.
  return /^[\x00-\x7f]*$/.test(text);
}

function latin1(bytes: Uint8Array): string {
  const { length } = bytes;
  // A Buffer of the same bytes would cost several times what the conversion does.
  if (length > 24) return Buffer.prototype.toString.call(bytes, "latin1");
  let text = "";
  for (let i = 0; i < length; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}
