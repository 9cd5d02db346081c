/** The log as every part of the program sees it; each line names the source file and line of its caller. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
