import { z } from "zod";
import { ProtocolError } from "./json-socket.ts";
import { candidateSchema, nodeIdSchema, nodeLoadSchema, nodeNumberSchema, nodeRecordSchema } from "./node-record.ts";

/**
 * What an engine and the center say to each other:
 *
 *     engine                                    center
 *     hello {protocol, cluster, nonce}     →
 *                                          ←    challenge {nonce, proof}
 *     register {proof, candidate, number?} →
 *                                          ←    registered {number, ttl, nodes}
 *     heartbeat {load?}                    →
 *                                          ←    heartbeat {loads}
 *                                          ←    joined {node} · left {id} · renumbered {number}
 *     leave {}                             →    (closes)
 *
 * Either side may say `refused {reason}` during the handshake, and closes.
 */
export const PROTOCOL = 1;

/** Milliseconds from the connection to the end of the handshake. */
export const HANDSHAKE_LIMIT = 3000;
/** Bytes; an engine sends little, the center's answer may list 4096 nodes. */
export const MAX_ENGINE_MESSAGE = 64 * 1024;
export const MAX_CENTER_MESSAGE = 8 * 1024 * 1024;

const text = z
  .string()
  .max(500)
  .regex(/^\P{Cc}*$/u, "control characters");
const refused = z.object({ type: z.literal("refused"), reason: text });

const engineMessage = z.discriminatedUnion("type", [
  // The nonce is checked only after the protocol version: another version may have another form of it.
  z.object({ type: z.literal("hello"), protocol: z.int(), cluster: text, nonce: text }),
  z.object({
    type: z.literal("register"),
    proof: text,
    candidate: candidateSchema,
    number: nodeNumberSchema.optional(),
  }),
  z.object({ type: z.literal("heartbeat"), load: nodeLoadSchema.optional() }),
  z.object({ type: z.literal("leave") }),
  refused,
]);

const centerMessage = z.discriminatedUnion("type", [
  z.object({ type: z.literal("challenge"), nonce: text, proof: text }),
  z.object({
    type: z.literal("registered"),
    number: nodeNumberSchema,
    ttl: z.int().min(1),
    nodes: z.array(nodeRecordSchema),
  }),
  z.object({ type: z.literal("heartbeat"), loads: z.array(z.tuple([nodeIdSchema, nodeLoadSchema])) }),
  z.object({ type: z.literal("joined"), node: nodeRecordSchema }),
  z.object({ type: z.literal("left"), id: nodeIdSchema }),
  z.object({ type: z.literal("renumbered"), number: nodeNumberSchema }),
  refused,
]);

export type EngineMessage = z.infer<typeof engineMessage>;
export type CenterMessage = z.infer<typeof centerMessage>;

/** Throws a `ProtocolError` that says what is wrong with the message. */
export function readEngineMessage(message: unknown): EngineMessage {
  return read(engineMessage, message);
}

/** Throws a `ProtocolError` that says what is wrong with the message. */
export function readCenterMessage(message: unknown): CenterMessage {
  return read(centerMessage, message);
}

function read<T>(schema: z.ZodType<T>, message: unknown): T {
  const { success, data, error } = schema.safeParse(message);
  if (success) return data;
  const [issue] = error.issues;
  throw new ProtocolError(`malformed message: ${issue?.path.join(".") || "message"}: ${issue?.message}`);
}
