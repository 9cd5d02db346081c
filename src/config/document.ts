import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  type ScalarTag,
  type YAMLMap,
} from "yaml";
import { canonical, childOf, closest, dotted, type Key, type Path, rootKey } from "./keys.ts";
import { type Environment, substitute } from "./substitute.ts";

/** Something wrong at a line; `key` is empty when the file as a whole is meant. */
export interface Problem {
  line: number;
  key: string;
  found: string;
  expected: string;
}

/** Deeper than any key; ends an alias that contains itself. */
const MAX_DEPTH = 16;

/**
 * A configuration file as plain values under canonical key names, with the environment filled in. Keys without a value
 * are left out, so they take their default.
 */
export class ConfigDocument {
  readonly value: unknown;
  readonly problems: Problem[] = [];
  readonly #lines = new Map<string, number>();
  readonly #counter = new LineCounter();
  readonly #document: Document.Parsed<ParsedNode>;
  readonly #environment: Environment;

  constructor(text: string, environment: Environment) {
    this.#environment = environment;
    this.#document = parseDocument(text, { lineCounter: this.#counter, prettyErrors: false });
    for (const { pos, message } of [...this.#document.errors, ...this.#document.warnings]) {
      const line = this.#counter.linePos(pos[0]).line;
      this.problems.push({ line, key: "", found: `a YAML error (${message})`, expected: "valid YAML" });
    }
    this.value = this.problems.length > 0 ? undefined : (this.#read(this.#document.contents, rootKey, []) ?? {});
  }

  /** The line of a key, or of the nearest key above it. */
  line(path: Path): number {
    for (let length = path.length; length > 0; length--) {
      const line = this.#lines.get(dotted(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  }

  #read(node: Node | null, key: Key | undefined, path: Path): unknown {
    if (path.length > MAX_DEPTH) return this.#problem(path, "values nested too deeply", `at most ${MAX_DEPTH} levels`);
    if (isAlias(node)) return this.#read((node as Alias).resolve(this.#document) ?? null, key, path);
    if (isMap(node)) return this.#readMap(node, key, path);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const at = [...path, index];
        this.#note(at, item as Node);
        return this.#read(item as Node, childOf(key, index), at);
      });
    }
    if (!isScalar(node)) return undefined;
    const { value } = node;
    return typeof value === "string" && value.includes("${")
      ? this.#substitute(value, key, path)
      : (value ?? undefined);
  }

  #readMap(map: YAMLMap, level: Key | undefined, path: Path): Record<string, unknown> {
    const entries = new Map<string, unknown>();
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const written = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const name = level?.properties ? canonical(level, written) : written;
      const at = [...path, name ?? written];
      if (name === undefined) {
        this.#note(at, pair.key);
        this.#problem(at, "an unknown key", expectedKey(level!, written));
      } else if (entries.has(name)) {
        this.#note(at, pair.key);
        this.#problem(at, `the key twice, the second time as ${written}`, "one spelling of it");
      } else {
        this.#note(at, pair.key);
        entries.set(name, this.#read(pair.value, childOf(level, name), at));
      }
    }
    return Object.fromEntries([...entries].filter(([, value]) => value !== undefined));
  }

  /** What came from the environment is text where the key wants text; otherwise it is read as YAML would. */
  #substitute(text: string, key: Key | undefined, path: Path): unknown {
    const filled = substitute(text, this.#environment, (found, expected) => this.#problem(path, found, expected));
    if (filled === "") return undefined;
    if (wantsText(key)) return filled;
    const tag = this.#document.schema?.tags.find(
      (tag): tag is ScalarTag => tag.default === true && "test" in tag && tag.test?.test(filled) === true,
    );
    const typed = tag ? tag.resolve(filled, () => {}, {}) : filled;
    return isScalar(typed) ? typed.value : typed;
  }

  #note(path: Path, node: Node | null): void {
    if (node?.range) this.#lines.set(dotted(path), this.#counter.linePos(node.range[0]).line);
  }

  #problem(path: Path, found: string, expected: string): undefined {
    this.problems.push({ line: this.line(path), key: dotted(path), found, expected });
  }
}

function wantsText(key: Key | undefined): boolean {
  return key?.type === "string" || (key?.anyOf?.every(wantsText) ?? false);
}

function expectedKey(level: Key, written: string): string {
  const suggestion = closest(level, written);
  const names = Object.keys(level.properties ?? {}).join(", ");
  return suggestion ? `a known key: did you mean ${suggestion}?` : `one of ${names}`;
}
