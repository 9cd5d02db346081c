import type { Log } from "../../src/log.ts";
import { CenterClient } from "../../src/registry/center-client.ts";
import { RedisRegistry } from "../../src/registry/redis.ts";
import type { RedisTarget } from "../../src/registry/redis-connection.ts";
import type { Candidate, Registry } from "../../src/registry/registry.ts";
import { quiet } from "./log-lines.ts";

/** How to reach a registry, as JSON for a child process. */
export type RegistryAccess = { cluster: string; secret?: string } & (
  | { kind: "center"; address: string }
  | ({ kind: "redis"; keyPrefix: string; ttl: number } & RedisTarget)
);

/** What a member process prints, one JSON line for each event. */
export type MemberEvent = { number: number } | { members: string[] } | { state: string } | { renumbered: number };

export function openRegistry(access: RegistryAccess, log: Log): Registry {
  if (access.kind === "center") return new CenterClient({ ...access, secret: access.secret, log });
  return new RedisRegistry({ ...access, log });
}

if (import.meta.main) {
  const [access, candidate] = process.argv.slice(2).map((text) => JSON.parse(text)) as [RegistryAccess, Candidate];
  const print = (event: MemberEvent) => console.log(JSON.stringify(event));
  const registry = openRegistry(access, quiet);
  registry.onMembers = (members) => print({ members: members.map((member) => member.id) });
  registry.onState = (state) => print({ state });
  registry.onRenumbered = (record) => print({ renumbered: record.number });
  process.on("SIGTERM", async () => {
    await registry.leave();
    process.exit();
  });
  print({ number: (await registry.join(candidate)).number });
}
