import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { Glob } from "bun";

const ROOT = resolve(import.meta.dir, "../..");

/** A fenced block of a page. */
export interface Block {
  language: string;
  text: string;
  /** Where it begins, as `file:line`. */
  at: string;
}

/** One page of the documentation. */
export class Page {
  readonly text: string;
  readonly blocks: Block[] = [];
  /** The text without fenced blocks. */
  readonly prose: string;

  /** `name` is its path in the repository. */
  constructor(readonly name: string) {
    this.text = readFileSync(join(ROOT, name), "utf8");
    const prose: string[] = [];
    let block: (Block & { lines: string[] }) | undefined;
    for (const [index, line] of this.text.split("\n").entries()) {
      const fence = /^```(\w*)$/.exec(line);
      if (fence === null) (block?.lines ?? prose).push(line);
      else if (block === undefined) {
        block = { language: fence[1] ?? "", text: "", at: `${name}:${index + 1}`, lines: [] };
      } else {
        this.blocks.push({ language: block.language, text: block.lines.join("\n"), at: block.at });
        block = undefined;
      }
    }
    this.prose = prose.join("\n");
  }

  /** What is written as code, in blocks and in lines. */
  get code(): string[] {
    const inline = [...this.prose.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
    return [...this.blocks.map(({ text }) => text), ...inline];
  }

  /** The links that lead nowhere: to a file that does not exist or a heading that the page has not got. */
  brokenLinks(): string[] {
    return [...this.prose.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target!)
      .filter((target) => !/^[a-z]+:/.test(target) && !this.#leads(target));
  }

  #leads(target: string): boolean {
    const [path = "", heading] = target.split("#");
    const file = path === "" ? this.name : relative(ROOT, join(ROOT, dirname(this.name), path));
    if (!existsSync(join(ROOT, file))) return false;
    return heading === undefined || new Page(file).#headings().includes(heading);
  }

  #headings(): string[] {
    return [...this.prose.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .replace(/\s/g, "-"),
    );
  }
}

/** Every page of the repository. */
export function allPages(): Page[] {
  const names = ["*.md", "conf/**/*.md", "lua/**/*.md", "scripts/**/*.md", "src/**/*.md"].flatMap((pattern) => [
    ...new Glob(pattern).scanSync(ROOT),
  ]);
  return names.filter((name) => !name.includes("node_modules/")).map((name) => new Page(name));
}
