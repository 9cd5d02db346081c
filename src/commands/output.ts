process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  // Whoever read has seen enough, as with `connmix consume foo | head -1`.
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

/** Writes one line to stdout; resolves when it was taken, so that a slow reader slows the writer down. */
export function print(line: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(`${line}\n`, () => resolve());
  });
}

/** Rows as aligned columns; all but those named in `right` are aligned to the left. */
export function columns(rows: string[][], right: readonly number[] = []): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
