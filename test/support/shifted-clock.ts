/**
 * Preloaded into a process under test (`bun --preload`): its wall clock is CLOCK_SHIFT_MS off from the start, and by that much
 * again after each SIGUSR2. Timers and the monotonic clock are not touched, as when someone sets a machine's clock.
 */
const shift = Number(process.env.CLOCK_SHIFT_MS ?? "0");
const now = Date.now.bind(Date);
let offset = shift;

process.on("SIGUSR2", () => {
  offset += shift;
});

globalThis.Date = class extends Date {
  // biome-ignore lint/suspicious/noExplicitAny: Date's constructor takes seven forms
  constructor(...parts: any[]) {
    if (parts.length === 0) super(now() + offset);
    else super(...(parts as [number]));
  }

  static override now(): number {
    return now() + offset;
  }
} as DateConstructor;
