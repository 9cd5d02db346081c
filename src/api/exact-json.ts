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

/** Levels of objects and arrays: what scripts can read of JSON as well. What comes in is written out again by recursion. */
const MAX_DEPTH = 128;

/**
 * Parses JSON so that `JSON.stringify` gives back every number as it was written: `12345678901234567890`, `1e400` and `1.0` too.
 * Such numbers become raw JSON values, opaque objects; all others are plain numbers. Throws a SyntaxError when `text` is no JSON or
 * nested too deeply.
 */
export function parseExact(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // A level takes two characters at least.
  if (text.length > 2 * MAX_DEPTH && isDeeper(value, MAX_DEPTH)) {
    throw new SyntaxError(`it is nested more than ${MAX_DEPTH} levels deep`);
  }
  return INEXACT_NUMBER.test(text) ? parseWithSource(text, keepDigits) : value;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isDeeper(item, levels - 1));
  for (const key in value) if (isDeeper(Reflect.get(value, key), levels - 1)) return true;
  return false;
}

/** A copy in which raw values have become the nearest plain numbers. */
export function plainNumbers(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
