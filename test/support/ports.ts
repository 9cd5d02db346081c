/**
 * A TCP port for what cannot be told to find one by itself: free a moment ago, and below those that the system hands out to
 * clients and to whoever asks for any.
 */
export function freePort(): number {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Taken: try another.
    }
  }
}
