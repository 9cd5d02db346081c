import { z } from "zod";
import { NODE_NUMBERS } from "../client-id.ts";
import type { Candidate, NodeLoad, NodeRecord } from "./registry.ts";

/** What other nodes say of themselves is checked before it is believed; unknown keys of a later version are dropped. */

/** Ends up in log lines and addresses: no control characters. */
const line = (longest: number) =>
  z
    .string()
    .min(1)
    .max(longest)
    .regex(/^\P{Cc}*$/u, "control characters");
const port = z.int().min(0).max(65535);

export const nodeIdSchema = z.string().regex(/^[0-9a-z]{1,32}$/, "not a node id");
export const nodeNumberSchema = z
  .int()
  .min(0)
  .max(NODE_NUMBERS - 1);

const counter = z.int().min(0);
export const nodeLoadSchema = z.object({
  clients: counter,
  channels: counter,
  readMessages: counter,
  sentMessages: counter,
  publishes: counter,
}) satisfies z.ZodType<NodeLoad>;

export const candidateSchema = z.object({
  id: nodeIdSchema,
  host: line(255),
  meshPort: port,
  apiPort: port,
  version: line(64),
  startedAt: z.int().min(0),
  servers: z.array(z.object({ protocol: z.enum(["websocket", "socket"]), port })).max(256),
  load: nodeLoadSchema.optional(),
}) satisfies z.ZodType<Candidate>;

export const nodeRecordSchema = candidateSchema.extend({ number: nodeNumberSchema }) satisfies z.ZodType<NodeRecord>;
