import { createHash, timingSafeEqual } from "node:crypto";
import { isThisMachine, plainAddress } from "../this-machine.ts";

/** `read`: ping, version, nodes, metrics, console. `write`: everything that acts on clients, channels and topics. */
export type Role = "read" | "write";

export interface User {
  username: string;
  password: string;
  roles: readonly Role[];
  /** Address pattern the user may come from: `*` for any, or an address in which `*` stands for one part (`10.0.*.*`). */
  host: string;
}

/** What a caller may do, and as whom; `user` is undefined while no users are configured. */
export interface Grant {
  readonly user: User | undefined;
  readonly read: boolean;
  readonly write: boolean;
}

export interface Refusal {
  status: 401 | 403;
  message: string;
}

interface Entry {
  user: User;
  grant: Grant;
  /** SHA-256 of `username:password`: digests have one length, so they can be compared in constant time. */
  digest: Buffer;
  allows: (address: string) => boolean;
}

const LOOPBACK_GRANT: Grant = { user: undefined, read: true, write: true };

function hostMatcher(pattern: string): (address: string) => boolean {
  if (pattern === "*") return () => true;
  const parts = plainAddress(pattern).split("*");
  const escaped = parts.map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  const expression = new RegExp(`^${escaped.join("[^.:]*")}$`, "i");
  return (address) => expression.test(address);
}

function digestOf(credentials: string): Buffer {
  return createHash("sha256").update(credentials).digest();
}

/**
 * Who may use the API server: HTTP Basic users (RFC 7617), each with roles and an address pattern. With no users only loopback
 * clients are let in, as in Redis's protected mode. `replace` takes effect at once, for open connections too.
 */
export class Access {
  #entries: Entry[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(users: readonly User[]) {
    this.replace(users);
  }

  /** True while no users are configured: loopback clients only. */
  get protectedMode(): boolean {
    return this.#entries.length === 0;
  }

  replace(users: readonly User[]): void {
    this.#entries = users.map((user) => ({
      user,
      grant: { user, read: user.roles.includes("read"), write: user.roles.includes("write") },
      digest: digestOf(`${user.username}:${user.password}`),
      allows: hostMatcher(user.host),
    }));
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each `replace`, until the returned function is called. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lets a caller in by its address and `Authorization` header, or says why not. */
  check(address: string, authorization: string | null): Grant | Refusal {
    const from = plainAddress(address);
    if (this.protectedMode) {
      if (isThisMachine(from)) return LOOPBACK_GRANT;
      return {
        status: 403,
        message: `no users are configured, so only clients on this machine are let in, and this one comes from ${from}: add a user under access.users in the configuration and send its name and password (HTTP Basic)`,
      };
    }
    const encoded = /^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(authorization ?? "")?.[1];
    if (encoded === undefined) {
      return {
        status: 401,
        message: "expected an Authorization header with HTTP Basic credentials of a configured user",
      };
    }
    const digest = digestOf(Buffer.from(encoded, "base64").toString());
    let known = false;
    let granted: Grant | undefined;
    // Every entry is compared, whatever came before, so that the time taken says nothing about who exists.
    for (const entry of this.#entries) {
      if (!timingSafeEqual(entry.digest, digest)) continue;
      known = true;
      if (granted === undefined && entry.allows(from)) granted = entry.grant;
    }
    if (granted !== undefined) return granted;
    if (known)
      return { status: 403, message: `this user may not connect from ${from}: see its host pattern in access.users` };
    return { status: 401, message: "wrong username or password" };
  }

  /** The grant that holds now for a caller who was let in with `grant` before; undefined when it no longer is. */
  renew(grant: Grant, address: string): Grant | undefined {
    const from = plainAddress(address);
    const { user } = grant;
    if (this.protectedMode) return isThisMachine(from) ? LOOPBACK_GRANT : undefined;
    if (user === undefined) return undefined;
    return this.#entries.find(
      (entry) => entry.user.username === user.username && entry.user.password === user.password && entry.allows(from),
    )?.grant;
  }
}
