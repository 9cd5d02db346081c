import { join } from "node:path";
import type { Assignment, Measurement, Warmup } from "./load/load.ts";
import { type ContenderResult, figures, type RowResult, rowResult } from "./result.ts";
import type { Contender, Row, Scale } from "./row.ts";
import { CLIENT_CORE, pinned, type Running } from "./server-process.ts";

const LOAD_CLIENT = join(import.meta.dir, "load/main.ts");

/** A contender while its row runs. */
interface Entrant {
  contender: Contender;
  server?: Running;
  rounds: Measurement[];
  absent?: string;
  failed?: boolean;
}

/** Measures all contenders of a row in turn, as often as there are rounds. A contender that fails does not stop the others. */
export async function measureRow(row: Row, scale: Scale, progress: (what: string) => void): Promise<RowResult> {
  const entrants = row.contenders.map((contender): Entrant => {
    const absent = contender.unavailable?.();
    return { contender, rounds: [], ...(absent === undefined ? {} : { absent }) };
  });
  try {
    if (scale.hurry && !row.fresh) await Promise.all(entrants.map(start));
    for (let round = 1; round <= scale.rounds; round++) {
      for (const entrant of entrants) {
        if (entrant.absent !== undefined) continue;
        progress(`${row.id}: ${entrant.contender.name}, round ${round} of ${scale.rounds}`);
        await start(entrant);
        if (entrant.server === undefined) continue;
        const warmup = entrant.rounds.length === 0 ? firstWarmup(scale, entrant.server) : scale.warmup;
        try {
          entrant.rounds.push(await measure(entrant.contender, entrant.server, warmup, scale.seconds));
        } catch (error) {
          fail(entrant, error);
        }
        if (row.fresh || entrant.failed) await stop(entrant);
      }
    }
  } finally {
    stopping.push(...entrants.map(stop));
    if (!scale.hurry) await stopped();
  }
  const first = entrants[0]!.rounds;
  return rowResult(
    row,
    entrants.map(({ contender: { name, role }, rounds, absent, failed }): ContenderResult => {
      const medians = figures(row.figure, rounds, first);
      return {
        name,
        role,
        ...(medians === undefined ? {} : { figures: medians }),
        ...(absent === undefined ? {} : { absent }),
        ...(failed === undefined ? {} : { failed }),
        rounds,
      };
    }),
  );
}

/** Each process compiles its own code, from its own share of the load. */
function firstWarmup({ firstWarmup: { seconds, messages } }: Scale, server: Running): Warmup {
  const processes = server.pids().length;
  return { seconds: seconds * processes, messages: messages * processes };
}

async function start(entrant: Entrant): Promise<void> {
  if (entrant.absent !== undefined || entrant.server !== undefined) return;
  try {
    entrant.server = await entrant.contender.start();
  } catch (error) {
    fail(entrant, error);
  }
}

function fail(entrant: Entrant, error: unknown): void {
  entrant.absent = error instanceof Error ? error.message : String(error);
  entrant.failed = true;
}

const stopping: Promise<void>[] = [];

/** Resolves when the servers of all rows that were measured are gone. */
export async function stopped(): Promise<void> {
  await Promise.all(stopping.splice(0));
}

async function stop(entrant: Entrant): Promise<void> {
  const { server } = entrant;
  delete entrant.server;
  await server?.stop();
}

/** One round, its load in a process of its own. */
async function measure(contender: Contender, server: Running, warmup: Warmup, seconds: number): Promise<Measurement> {
  const assignment: Assignment = {
    load: contender.load(server),
    pids: server.pids(),
    warmup,
    seconds,
  };
  const client = Bun.spawn(pinned([process.execPath, LOAD_CLIENT, JSON.stringify(assignment)], CLIENT_CORE), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(client.stdout).text(),
    new Response(client.stderr).text(),
    client.exited,
  ]);
  if (code !== 0) throw new Error(errors.trim() || `the load client ended with ${code}`);
  return JSON.parse(output);
}
