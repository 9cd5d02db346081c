import { readFileSync } from "node:fs";

const BYTE_ORDER_MARK = new Uint8Array([0xef, 0xbb, 0xbf]);
const HASH = 0x23;
const NEWLINE = 0x0a;

/** A script's source as Lua's own loader takes it: without a byte order mark and a first line that begins with "#". */
export function readScript(path: string): Uint8Array {
  const file = readFileSync(path);
  const source = file.indexOf(BYTE_ORDER_MARK) === 0 ? file.subarray(BYTE_ORDER_MARK.length) : file;
  if (source[0] !== HASH) return source;
  // The end of the line stays, so that errors count lines right.
  const end = source.indexOf(NEWLINE);
  return end < 0 ? source.subarray(source.length) : source.subarray(end);
}
