import { extname } from "node:path";
import { type LoadedConfig, loadConfig } from "./config/load.ts";
import { smallSizes } from "./config/small-sizes.ts";
import { watchConfig } from "./config/watch.ts";
import { surviveFaults } from "./faults.ts";
import { createLog, type OwnLog } from "./log.ts";
import type { RunningNode } from "./node.ts";
import { watchOpenFiles } from "./open-files.ts";
import { BANNER, versionLine } from "./version.ts";
import { supervisorLink, type WorkerRole, workerRole } from "./worker-link.ts";

/**
 * The life of a process that runs a node: banner, configuration, log, start, reload on change and SIGHUP, drain on SIGTERM
 * and SIGINT, exit. `start` and the configuration may fail with a `UserError`; after that the process lives until it is told
 * to stop.
 */
export async function runNode(
  file: string | undefined,
  start: (loaded: LoadedConfig, log: OwnLog) => Promise<RunningNode>,
): Promise<void> {
  const loaded = loadConfig(file);
  if (!workerRole) console.log(`${BANNER}\n${versionLine()}\n`);
  const log = openLog(loaded, workerRole);
  for (const notice of smallSizes(loaded)) log.warn(notice);

  const starting = start(loaded, log);
  stopOnSignals(starting, loaded, log);
  followConfig(starting, loaded, log);
  try {
    await starting;
    surviveFaults(log);
    watchOpenFiles(log);
    supervisorLink?.ready();
  } catch (thrown) {
    await log.close();
    throw thrown;
  }
}

function openLog({ config }: LoadedConfig, role: WorkerRole | undefined): OwnLog {
  const { filename, level, maxFiles } = config.logging;
  if (!role) return createLog({ level, file: { path: filename, maxFiles } });
  const extension = extname(filename);
  const path = `${filename.slice(0, filename.length - extension.length)}.worker-${role.number}${extension}`;
  return createLog({ level, file: { path, maxFiles }, prefix: `[worker ${role.number}] ` });
}

/** Edits made while the node starts are taken over once it has. */
function followConfig(starting: Promise<RunningNode>, loaded: LoadedConfig, log: OwnLog): void {
  const watch = watchConfig(loaded, log, (config, changed) => {
    log.setLevel(config.logging.level);
    starting.then(
      (node) => node.reconfigure?.(config, changed),
      () => {},
    );
  });
  if (!onTerminal()) process.on("SIGHUP", () => watch.reload());
}

/** On a terminal SIGHUP means that the window was closed, so the node stops; elsewhere it asks for a reload. */
function onTerminal(): boolean {
  return process.stdout.isTTY === true;
}

function stopOnSignals(starting: Promise<RunningNode>, { config }: LoadedConfig, log: OwnLog): void {
  let stopping = false;
  const stop = (why: string, exitCodeIfAgain: number) => {
    // A service manager may signal the whole group, and so a worker twice: its supervisor decides when patience ends.
    if (stopping && workerRole) return;
    if (stopping) process.exit(exitCodeIfAgain);
    stopping = true;
    log.info(`${why}: stopping`);
    setTimeout(() => {
      log.warn(`not everything had ended after ${config.drainTimeout} s`);
      void exit(log);
    }, config.drainTimeout * 1000);
    starting.then(
      (node) =>
        node
          .stop()
          .catch((thrown) => log.error(`while stopping: ${thrown instanceof Error ? thrown.stack : thrown}`))
          .finally(() => exit(log)),
      // A start that fails has its own end, with its own message.
      () => {},
    );
  };
  process.on("SIGTERM", () => stop("SIGTERM", 143));
  // Ctrl-C reaches a whole process group; a worker waits for its supervisor's word.
  process.on("SIGINT", () => workerRole || stop("SIGINT", 130));
  if (onTerminal()) process.on("SIGHUP", () => stop("SIGHUP", 129));
  if (supervisorLink) supervisorLink.onLost = () => stop("the supervisor is gone", 1);
}

async function exit(log: OwnLog): Promise<never> {
  await log.close();
  process.exit(0);
}
