/** The codes of the API reference. */
export const API_ERROR = {
  /** Not JSON, or no such method. */
  request: 100,
  /** Invalid parameters. */
  parameters: 101,
  /** The user lacks the role. */
  role: 103,
  consume: 201,
  alreadyConsuming: 202,
  unconsume: 203,
  call: 301,
  send: 401,
  /** Not the caller's fault: the log has the error. */
  internal: 500,
} as const;

export type ApiErrorCode = (typeof API_ERROR)[keyof typeof API_ERROR];

/** Why a request failed. A value that is returned, not thrown: bad input is an everyday case. */
export class ApiError {
  constructor(
    readonly code: ApiErrorCode,
    readonly message: string,
  ) {}
}

/** A value as an error message shows it: its JSON, shortened. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
