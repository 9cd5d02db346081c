import type { LuaState } from "./state.ts";

const MAX_CAPTURES = 32;
/** As deep as PUC-Rio's Lua goes. */
const MAX_DEPTH = 200;
/** Steps between two calls of `tick`. */
const TICK_STEPS = 0x3fff;

/** Lengths of captures that are not closed yet, and of position captures. */
const UNFINISHED = -1;
const POSITION = -2;

const PERCENT = 0x25;
const OPEN = 0x28;
const CLOSE = 0x29;
const DOLLAR = 0x24;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;
const DOT = 0x2e;
const STAR = 0x2a;
const PLUS = 0x2b;
const QUESTION = 0x3f;

/** Members of the character classes, by the small letter that names them; the capital letter is the complement. */
const CLASSES: Record<string, (c: number) => boolean> = {
  a: isLetter,
  c: (c) => c < 32 || c === 127,
  d: isDigit,
  g: isGraphic,
  l: (c) => c >= 97 && c <= 122,
  p: (c) => isGraphic(c) && !isLetter(c) && !isDigit(c),
  s: (c) => c === 32 || (c >= 9 && c <= 13),
  u: (c) => c >= 65 && c <= 90,
  w: (c) => isLetter(c) || isDigit(c),
  x: (c) => isDigit(c) || (c >= 97 && c <= 102) || (c >= 65 && c <= 70),
  z: (c) => c === 0,
};

/**
 * Lua patterns on bytes (reference manual 5.3, section 6.4.1). fengari's own matcher runs for hours on patterns such as
 * ("a*"):rep(30); this one calls `tick` on its way, where the script's budget is looked at.
 */
export class PatternMatch {
  /** Start and length of each capture of the last match. */
  readonly starts: number[] = [];
  readonly lengths: number[] = [];
  #level = 0;
  #depth = 0;
  #steps = 0;

  constructor(
    private readonly L: LuaState,
    private readonly source: Uint8Array,
    private readonly pattern: Uint8Array,
    private readonly tick: (L: LuaState) => void,
  ) {}

  get captures(): number {
    return this.#level;
  }

  /** Where a match that begins at `s` ends; -1 when none does. `p` is where the pattern begins. */
  at(s: number, p: number): number {
    this.#level = 0;
    this.#depth = 0;
    return this.#match(s, p);
  }

  /** Pushes capture `i`; the whole match when there are no captures. */
  pushCapture(i: number, from: number, to: number): void {
    if (i >= this.#level) {
      if (i > 0) this.L.error(`invalid capture index %${i + 1}`);
      this.L.pushBytes(this.source.slice(from, to));
      return;
    }
    const length = this.lengths[i]!;
    if (length === UNFINISHED) this.L.error("unfinished capture");
    if (length === POSITION) this.L.pushNumber(this.starts[i]! + 1);
    else this.L.pushBytes(this.source.slice(this.starts[i]!, this.starts[i]! + length));
  }

  /** Pushes all captures, or the whole match when there are none; answers how many values. */
  pushCaptures(from: number, to: number): number {
    const count = Math.max(1, this.#level);
    for (let i = 0; i < count; i++) this.pushCapture(i, from, to);
    return count;
  }

  #step(): void {
    this.#steps = (this.#steps + 1) & TICK_STEPS;
    if (this.#steps === 0) this.tick(this.L);
  }

  #match(s: number, p: number): number {
    if (++this.#depth > MAX_DEPTH) this.L.error("pattern too complex");
    const end = this.#run(s, p);
    this.#depth--;
    return end;
  }

  #run(from: number, start: number): number {
    const { pattern, source } = this;
    let s = from;
    let p = start;
    for (;;) {
      this.#step();
      if (p === pattern.length) return s;
      const c = pattern[p]!;
      if (c === OPEN) {
        return pattern[p + 1] === CLOSE ? this.#open(s, p + 2, POSITION) : this.#open(s, p + 1, UNFINISHED);
      }
      if (c === CLOSE) return this.#close(s, p + 1);
      if (c === DOLLAR && p + 1 === pattern.length) return s === source.length ? s : -1;
      if (c === PERCENT) {
        const kind = pattern[p + 1];
        if (kind === 0x62 /* b */) {
          s = this.#balance(s, p + 2);
          if (s === -1) return -1;
          p += 4;
          continue;
        }
        if (kind === 0x66 /* f */) {
          p += 2;
          if (pattern[p] !== BRACKET) this.L.error("missing '[' after '%f' in pattern");
          const end = this.#classEnd(p);
          const before = s === 0 ? 0 : source[s - 1]!;
          if (this.#inSet(before, p, end - 1) || !this.#inSet(source[s] ?? 0, p, end - 1)) return -1;
          p = end;
          continue;
        }
        if (kind !== undefined && isDigit(kind)) {
          s = this.#repeatCapture(s, kind);
          if (s === -1) return -1;
          p += 2;
          continue;
        }
      }
      const end = this.#classEnd(p);
      const suffix = pattern[end];
      if (suffix === STAR) return this.#longest(s, p, end);
      if (suffix === PLUS) return this.#single(s, p, end) ? this.#longest(s + 1, p, end) : -1;
      if (suffix === DASH) return this.#shortest(s, p, end);
      if (suffix === QUESTION) {
        if (this.#single(s, p, end)) {
          const matched = this.#match(s + 1, end + 1);
          if (matched !== -1) return matched;
        }
        p = end + 1;
        continue;
      }
      if (!this.#single(s, p, end)) return -1;
      s++;
      p = end;
    }
  }

  #longest(s: number, p: number, end: number): number {
    let count = 0;
    while (this.#single(s + count, p, end)) {
      this.#step();
      count++;
    }
    for (; count >= 0; count--) {
      const matched = this.#match(s + count, end + 1);
      if (matched !== -1) return matched;
    }
    return -1;
  }

  #shortest(from: number, p: number, end: number): number {
    for (let s = from; ; s++) {
      const matched = this.#match(s, end + 1);
      if (matched !== -1) return matched;
      if (!this.#single(s, p, end)) return -1;
    }
  }

  #open(s: number, p: number, kind: number): number {
    if (this.#level >= MAX_CAPTURES) this.L.error("too many captures");
    this.starts[this.#level] = s;
    this.lengths[this.#level] = kind;
    this.#level++;
    const end = this.#match(s, p);
    if (end === -1) this.#level--;
    return end;
  }

  #close(s: number, p: number): number {
    let open = this.#level - 1;
    while (open >= 0 && this.lengths[open] !== UNFINISHED) open--;
    if (open < 0) this.L.error("invalid pattern capture");
    this.lengths[open] = s - this.starts[open]!;
    const end = this.#match(s, p);
    if (end === -1) this.lengths[open] = UNFINISHED;
    return end;
  }

  #balance(s: number, p: number): number {
    if (p + 1 >= this.pattern.length) this.L.error("malformed pattern (missing arguments to '%b')");
    const { source } = this;
    const open = this.pattern[p]!;
    const close = this.pattern[p + 1]!;
    if (source[s] !== open) return -1;
    let depth = 1;
    for (let i = s + 1; i < source.length; i++) {
      this.#step();
      if (source[i] === close) {
        if (--depth === 0) return i + 1;
      } else if (source[i] === open) depth++;
    }
    return -1;
  }

  #repeatCapture(s: number, digit: number): number {
    const i = digit - 0x31;
    if (i < 0 || i >= this.#level || this.lengths[i] === UNFINISHED) {
      this.L.error(`invalid capture index %${i + 1} in pattern`);
    }
    const length = Math.max(0, this.lengths[i]!);
    if (this.source.length - s < length) return -1;
    for (let k = 0; k < length; k++) if (this.source[this.starts[i]! + k] !== this.source[s + k]) return -1;
    return s + length;
  }

  /** Where the single-character class that begins at `p` ends. */
  #classEnd(p: number): number {
    const { pattern } = this;
    if (pattern[p] === PERCENT) {
      if (p + 1 >= pattern.length) this.L.error("malformed pattern (ends with '%')");
      return p + 2;
    }
    if (pattern[p] !== BRACKET) return p + 1;
    let q = pattern[p + 1] === CARET ? p + 2 : p + 1;
    do {
      if (q >= pattern.length) this.L.error("malformed pattern (missing ']')");
      q += pattern[q] === PERCENT ? 2 : 1;
    } while (pattern[q] !== BRACKET_END);
    return q + 1;
  }

  #single(s: number, p: number, end: number): boolean {
    if (s >= this.source.length) return false;
    const c = this.source[s]!;
    const item = this.pattern[p]!;
    if (item === DOT) return true;
    if (item === PERCENT) return inClass(c, this.pattern[p + 1]!);
    if (item === BRACKET) return this.#inSet(c, p, end - 1);
    return item === c;
  }

  /** `p` is at the opening bracket, `last` at the closing one. */
  #inSet(c: number, p: number, last: number): boolean {
    const { pattern } = this;
    const complement = pattern[p + 1] === CARET;
    for (let q = complement ? p + 2 : p + 1; q < last; q++) {
      if (pattern[q] === PERCENT) {
        q++;
        if (inClass(c, pattern[q]!)) return !complement;
      } else if (pattern[q + 1] === DASH && q + 2 < last) {
        if (pattern[q]! <= c && c <= pattern[q + 2]!) return !complement;
        q += 2;
      } else if (pattern[q] === c) return !complement;
    }
    return complement;
  }
}

function inClass(c: number, letter: number): boolean {
  const name = String.fromCharCode(letter);
  const small = name.toLowerCase();
  const members = isLetter(letter) ? CLASSES[small] : undefined;
  if (members === undefined) return c === letter;
  return members(c) === (name === small);
}

function isLetter(c: number): boolean {
  return (c >= 97 && c <= 122) || (c >= 65 && c <= 90);
}

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57;
}

function isGraphic(c: number): boolean {
  return c > 32 && c < 127;
}
