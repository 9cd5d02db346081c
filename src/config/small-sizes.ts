import type { LoadedConfig } from "./load.ts";

/** Below this a size was most likely meant as the original system meant it: as a Go buffer, 1024 by default. */
const SMALL = 16 * 1024;

/** A sentence for each size that was probably not meant as the limit it is. */
export function smallSizes({ config, where }: LoadedConfig): string[] {
  const { apiServer, servers } = config.engine;
  const listeners = [
    { ...apiServer, path: ["engine", "apiServer"] },
    ...servers.map((server, index) => ({ ...server, path: ["engine", "servers", index] })),
  ];
  return listeners.flatMap(({ readBufferSize, writeBufferSize, path }) => [
    ...(readBufferSize < SMALL
      ? [
          `${where([...path, "readBufferSize"])} is a limit here: a larger message than ${readBufferSize} bytes is refused`,
        ]
      : []),
    ...(writeBufferSize < SMALL
      ? [
          `${where([...path, "writeBufferSize"])} is a limit here: a client for which more than ${writeBufferSize} bytes wait is closed`,
        ]
      : []),
  ]);
}
