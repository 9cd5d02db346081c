import { startCenter } from "./center.ts";
import type { LoadedConfig } from "./config/load.ts";
import { startEngine } from "./engine.ts";
import type { Log } from "./log.ts";
import type { RunningCenter, RunningNode } from "./node.ts";
import { startWorkers } from "./supervisor.ts";

/** A center and an engine in this process, or with `workers` above one, a center here and that many engine processes. */
export async function startSingle(loaded: LoadedConfig, log: Log, workers = 1): Promise<RunningNode> {
  const center = await startCenter(loaded, log);
  const centerRegistry = addressOf(center, loaded);
  try {
    const engine =
      workers > 1
        ? await startWorkers(loaded, log, { workers, centerRegistry })
        : await startEngine(withCenter(loaded, centerRegistry), log);
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
