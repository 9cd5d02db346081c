import type { Json } from "../json.ts";

/** A number whose text says more than a double can hold: longer than 2^53, with an exponent, or with a fraction. */
const INEXACT_NUMBER = /[:[,]\s*-?(?:\d{17}|9\d{15}|\d+[.eE])/;

/** The reviver's third argument and raw values: ECMAScript's "JSON.parse source text access". */
const rawJson = (JSON as unknown as { rawJSON(text: string): object }).rawJSON;
const parseWithSource = JSON.parse as unknown as (
  text: string,
  reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
) => unknown;

function keepDigits(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || context.source === undefined || String(value) === context.source) return value;
  return rawJson(context.source);
}

/**
 * Parses JSON so that `JSON.stringify` gives back every number as it was written: `12345678901234567890`, `1e400` and `1.0` too.
 * Such numbers become raw JSON values, opaque objects; all others are plain numbers. Throws a SyntaxError when `text` is no JSON.
 */
export function parseExact(text: string): unknown {
  return INEXACT_NUMBER.test(text) ? parseWithSource(text, keepDigits) : JSON.parse(text);
}

/** A copy in which raw values have become the nearest plain numbers. */
export function plainNumbers(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
