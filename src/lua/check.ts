export interface ScriptProblem {
  line: number;
  message: string;
  severity: "error" | "warning";
}

/** Placeholder until scripts can be compiled. */
export function checkScript(
  _source: Uint8Array | string,
  _name: string,
  _protocol: "websocket" | "socket",
): ScriptProblem[] {
  return [];
}
