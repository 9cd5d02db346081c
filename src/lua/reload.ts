import { stat } from "node:fs/promises";
import type { Signature } from "./require.ts";

/** Looks at a script's files every so many seconds and calls `changed` when one is not what it was. */
export class Reload {
  #files: Map<string, Signature>;
  readonly #changed: (files: Map<string, Signature>) => void;
  readonly #timer: Timer | undefined;
  #looking = false;
  #stopped = false;

  /** `files` are those of the script that runs; `changed` notes what it reads in the map it is given. */
  constructor(seconds: number, files: Map<string, Signature>, changed: (files: Map<string, Signature>) => void) {
    this.#files = files;
    this.#changed = changed;
    if (seconds > 0) this.#timer = setInterval(() => this.#look(), seconds * 1000);
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    // A look can outlast the interval: on a slow file system, or while a script that loops is given its time.
    if (this.#looking) return;
    this.#looking = true;
    await this.#reloadIfChanged();
    this.#looking = false;
  }

  async #reloadIfChanged(): Promise<void> {
    // Taken before the script is loaded: what is edited meanwhile is found by the next look.
    const found = new Map<string, Signature>();
    let changed = false;
    for (const [path, signature] of this.#files) {
      // An editor may be replacing the file right now: the next look finds it again.
      const now = (await signatureNow(path)) ?? signature;
      found.set(path, now);
      changed ||= now !== signature;
    }
    if (!changed || this.#stopped) return;
    const read = new Map<string, Signature>();
    this.#changed(read);
    // A broken script was perhaps not read to its end: what the last good one read counts on.
    this.#files = new Map([...found, ...read]);
  }
}

async function signatureNow(path: string): Promise<Signature | undefined> {
  try {
    const { mtimeMs, size } = await stat(path);
    return `${mtimeMs}:${size}`;
  } catch {
    return undefined;
  }
}
