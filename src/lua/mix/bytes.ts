import { bytesArgument, failure, tableArgument, typeName } from "../arguments.ts";
import type { LuaState } from "../state.ts";

/** `mix.bytes_tostring(table)`, `mix.bytes_xor(s, key)` and `mix.is_utf8(s)`. */
export function installBytes(L: LuaState): void {
  L.pushFunction(bytesToString);
  L.setField(-2, "bytes_tostring");
  L.pushFunction(bytesXor);
  L.setField(-2, "bytes_xor");
  L.pushFunction(isUtf8);
  L.setField(-2, "is_utf8");
}

/** A table of byte values (0…255) as one string. */
function bytesToString(L: LuaState): number {
  tableArgument(L, 1);
  const bytes = new Uint8Array(L.rawLength(1));
  for (let i = 0; i < bytes.length; i++) {
    L.rawGetIndex(1, i + 1);
    const value = L.toNumber(-1);
    L.pop();
    if (value === undefined || !(value >= 0 && value <= 255) || !Number.isInteger(value)) {
      return failure(L, `bytes_tostring: element ${i + 1} is not an integer from 0 to 255`);
    }
    bytes[i] = value;
  }
  L.pushBytes(bytes);
  return 1;
}

/** Each byte of `s` xor-ed with the key, which repeats: WebSocket masking (RFC 6455 section 5.3), its own inverse. */
function bytesXor(L: LuaState): number {
  const bytes = bytesArgument(L, 1);
  const key = bytesArgument(L, 2);
  if (key.length === 0) L.argError(2, "a key of at least one byte expected, got an empty string");
  L.pushBytes(key.length === 4 ? masked(bytes, key) : xored(bytes, key));
  return 1;
}

function xored(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let i = 0, k = 0; i < bytes.length; i++) {
    result[i] = bytes[i]! ^ key[k]!;
    if (++k === key.length) k = 0;
  }
  return result;
}

/** `xored` with a key of four bytes, four at a time. */
function masked(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const { length } = bytes;
  const result = new Uint8Array(length);
  const k0 = key[0]!;
  const k1 = key[1]!;
  const k2 = key[2]!;
  const k3 = key[3]!;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    result[i] = bytes[i]! ^ k0;
    result[i + 1] = bytes[i + 1]! ^ k1;
    result[i + 2] = bytes[i + 2]! ^ k2;
    result[i + 3] = bytes[i + 3]! ^ k3;
  }
  for (; i < length; i++) result[i] = bytes[i]! ^ key[i & 3]!;
  return result;
}

/** Strictly: neither surrogates nor overlong forms (RFC 3629), as text messages of WebSocket have to be. */
function isUtf8(L: LuaState): number {
  L.pushBoolean(L.isText(1) ?? L.argError(1, `string expected, got ${typeName(L, 1)}`));
  return 1;
}
