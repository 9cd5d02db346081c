import { bytesArgument } from "../arguments.ts";
import type { LuaState } from "../state.ts";

/** Parts between two looks at the budget. */
const TICK_PARTS = 0x3fff;

/**
 * `mix.str_split(s, sep)`: the parts of `s` between occurrences of `sep`; an empty `sep` splits into UTF-8 characters. `tick` is
 * called on the way, because a long string may have millions of them.
 */
export function installStr(L: LuaState, tick: (L: LuaState) => void): void {
  L.pushFunction((state) => strSplit(state, tick));
  L.setField(-2, "str_split");
}

function strSplit(L: LuaState, tick: (L: LuaState) => void): number {
  const bytes = bytesArgument(L, 1);
  const separator = bytesArgument(L, 2);
  L.newTable();
  let count = 0;
  for (const part of separator.length === 0 ? characters(bytes) : parts(bytes, separator)) {
    L.pushBytes(part);
    L.rawSetIndex(-2, ++count);
    if ((count & TICK_PARTS) === 0) tick(L);
  }
  return 1;
}

function* parts(bytes: Uint8Array, separator: Uint8Array): Generator<Uint8Array> {
  const searched = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let start = 0;
  for (;;) {
    const at = searched.indexOf(separator, start);
    if (at < 0) break;
    yield bytes.subarray(start, at);
    start = at + separator.length;
  }
  yield bytes.subarray(start);
}

function* characters(bytes: Uint8Array): Generator<Uint8Array> {
  let start = 0;
  for (let i = 1; i <= bytes.length; i++) {
    const continues = i < bytes.length && (bytes[i]! & 0xc0) === 0x80;
    if (continues) continue;
    yield bytes.subarray(start, i);
    start = i;
  }
}
