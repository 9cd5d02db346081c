export interface Credentials {
  username: string;
  password: string;
}

/** The `Authorization` header's value (RFC 7617); user names and passwords are UTF-8. */
export function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${base64(new TextEncoder().encode(`${username}:${password}`))}`;
}

export function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Bun, Node's own and `ws` take headers as an option, a browser's WebSocket does not. */
type WebSocketConstructor = new (url: string, options?: { headers: Record<string, string> }) => WebSocket;

const takesHeaders = "process" in globalThis && typeof process.versions?.node === "string";

/** Starts to open a WebSocket. Where no header can be set (browsers), the credentials go into the URL. */
export async function createWebSocket(url: string, credentials: Credentials | undefined): Promise<WebSocket> {
  const Constructor = await webSocketConstructor();
  if (credentials === undefined) return new Constructor(url);
  if (takesHeaders) return new Constructor(url, { headers: { authorization: basicAuthorization(credentials) } });
  const withUser = new URL(url);
  withUser.username = encodeURIComponent(credentials.username);
  withUser.password = encodeURIComponent(credentials.password);
  return new Constructor(withUser.href);
}

async function webSocketConstructor(): Promise<WebSocketConstructor> {
  if (typeof globalThis.WebSocket === "function") return globalThis.WebSocket as WebSocketConstructor;
  // Node before version 22 has none of its own.
  const { WebSocket } = await import("ws");
  return WebSocket as unknown as WebSocketConstructor;
}
