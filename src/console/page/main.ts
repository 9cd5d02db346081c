import type { ConsoleState } from "../state.ts";
import { element } from "./dom.ts";
import { Overview } from "./overview.ts";
import { TryIt } from "./try-it.ts";

const overview = new Overview();
const tryIt = new TryIt();
const trouble = element("trouble");

async function poll(): Promise<void> {
  try {
    const response = await fetch("/console/state");
    if (!response.ok) throw new Error(`the node answers ${response.status}: ${await response.text()}`);
    const state = (await response.json()) as ConsoleState;
    overview.show(state);
    tryIt.update(state);
    trouble.hidden = true;
  } catch (error) {
    trouble.textContent = `no figures: ${error instanceof Error ? error.message : error}`;
    trouble.hidden = false;
  }
  setTimeout(poll, 1000);
}

void poll();
