import type { Row } from "./row.ts";
import { chatRow } from "./rows/chat.ts";
import { connectionRows } from "./rows/connections.ts";
import { echoRows } from "./rows/echo.ts";
import { lineRows } from "./rows/lines.ts";
import { processRows } from "./rows/processes.ts";
import { publishRows } from "./rows/publish.ts";
import { queueRow } from "./rows/queue.ts";
import { sendRows } from "./rows/send.ts";

/** Every row, in the order of the table. */
export function allRows(idleConnections: number): Row[] {
  return [
    ...echoRows,
    chatRow,
    ...publishRows,
    ...sendRows,
    queueRow,
    ...lineRows,
    ...connectionRows(idleConnections),
    ...processRows,
  ];
}
