const MOST = 256;
/** A format may be made of what a client sent. */
const LONGEST = 256;

/** The same function with its results kept: most scripts use the same few formats all the time. */
export function remembered<T>(parse: (format: string) => T): (format: string) => T {
  const kept = new Map<string, T>();
  return (format) => {
    let parsed = kept.get(format);
    if (parsed === undefined) {
      parsed = parse(format);
      if (format.length > LONGEST) return parsed;
      if (kept.size >= MOST) kept.clear();
      kept.set(format, parsed);
    }
    return parsed;
  };
}
