import { startCenter } from "./center.ts";
import type { LoadedConfig } from "./config/load.ts";
import { startEngine } from "./engine.ts";
import type { OwnLog } from "./log.ts";
import type { RunningCenter, RunningNode } from "./node.ts";
import { startWorkers } from "./supervisor.ts";

export interface SingleOptions {
  /** Engine processes; 1 means that the engine runs in this one, beside the center. */
  workers?: number;
  /** Development: web pages of any origin may use the API. */
  anyOrigin?: boolean;
}

/** A center in this process, and an engine beside it or several in processes of their own. */
export async function startSingle(
  loaded: LoadedConfig,
  log: OwnLog,
  { workers = 1, anyOrigin = false }: SingleOptions = {},
): Promise<RunningNode> {
  const center = await startCenter(loaded, log);
  const centerRegistry = addressOf(center, loaded);
  try {
    const engine =
      workers > 1
        ? await startWorkers(loaded, log, { workers, centerRegistry })
        : await startEngine(withCenter(loaded, centerRegistry), log, { anyOrigin });
    return {
      async stop() {
        await engine.stop();
        await center.stop();
      },
      reconfigure(config, changed) {
        engine.reconfigure?.(config, changed);
        center.reconfigure?.(config, changed);
      },
    };
  } catch (thrown) {
    await center.stop();
    throw thrown;
  }
}

/** The same configuration with the engine's center at `address`. */
export function withCenter(loaded: LoadedConfig, address: string): LoadedConfig {
  const { config } = loaded;
  return { ...loaded, config: { ...config, engine: { ...config.engine, centerRegistry: address } } };
}

/** Where this machine reaches its own center, whatever `engine.centerRegistry` says. */
function addressOf(center: RunningCenter, { config }: LoadedConfig): string {
  const { bind } = config.center.registry;
  const host = bind === "0.0.0.0" ? "127.0.0.1" : bind === "::" ? "::1" : bind;
  return `${host.includes(":") ? `[${host}]` : host}:${center.registryPort}`;
}
