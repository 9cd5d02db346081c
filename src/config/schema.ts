import { z } from "zod";
import { refuseRepeated, refuseSharedPorts } from "./refusals.ts";

/**
 * Every key of the configuration, with its default and what a good value is. The description of a key is what an error
 * calls "expected"; keys marked `reload` take effect while running. conf/connmix.yaml is the manual of the same keys.
 */

const live = { reload: true };

const text = (expected = "text") => z.string().min(1).describe(expected);
const seconds = z.number().min(0).describe("seconds, 0 or more (0: no limit)");
const port = z.int().min(0).max(65535).describe("a port from 0 to 65535 (0: any free one)");
const bytes = z.int().min(1).describe("a number of bytes, 1 or more");
const atLeastOne = z.int().min(1).describe("a whole number, 1 or more");

const bind = z
  .union([z.ipv4(), z.ipv6(), z.hostname()])
  .default("0.0.0.0")
  .describe("the address to listen on, such as 0.0.0.0, 127.0.0.1 or ::");

const HOST_PORT = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:[\]/@]+):(\d{1,5})$/;

const ADDRESS = "host:port, such as 127.0.0.1:6786 or [::1]:6786";

/** `host:port`, IPv6 in brackets. */
const address = z
  .string()
  .refine((value) => Number(HOST_PORT.exec(value)?.[1] ?? Infinity) <= 65535, ADDRESS)
  .describe(ADDRESS);

const tls = z
  .strictObject({
    cert: text("the path of a PEM file"),
    key: text("the path of a PEM file"),
  })
  .optional()
  .describe("an object with cert and key");

const trustedProxies = z
  .array(
    z
      .union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()])
      .describe("an address or a range in CIDR form, such as 10.0.0.0/8 or fd00::/8"),
  )
  .default([])
  .describe("a list of addresses or ranges");

/** What client servers and API servers have in common. */
const listener = {
  bind,
  readTimeout: seconds.default(60).meta(live),
  writeTimeout: seconds.default(60).meta(live),
  readBufferSize: bytes.default(1024 * 1024).meta(live),
  writeBufferSize: bytes.default(16 * 1024 * 1024).meta(live),
  trustedProxies,
  tls,
};

const apiServer = (defaultPort: number) =>
  z
    .strictObject({ port: port.default(defaultPort), ...listener })
    .prefault({})
    .describe("an object");

const optionValue = z.union([z.string(), z.number(), z.boolean()], { error: "text, a number, true or false" });
const namedOption = z.strictObject(
  { name: z.string({ error: "text" }), value: optionValue },
  { error: "an object with name and value" },
);

/** A list of `{name, value}`, as the original writes it, or a plain map; either way a map once read. */
const options = z
  .union([z.array(namedOption), z.record(z.string(), optionValue)])
  .prefault([])
  .superRefine((given, context) => {
    if (Array.isArray(given)) refuseRepeated(given, "name", context);
  })
  .transform((given) =>
    Array.isArray(given) ? Object.fromEntries(given.map(({ name, value }) => [name, value])) : given,
  )
  .describe("a list of {name, value}, or a map, of text, numbers or booleans");

const urlPath = z.string().regex(/^\/[^\s?#]*$/);

const server = z
  .strictObject({
    port,
    protocol: z.enum(["websocket", "socket"]).default("websocket").describe("websocket or socket"),
    entry: text("the path of a Lua script").default("lua/entry.lua"),
    path: urlPath.optional().describe('a URL path that starts with "/"'),
    options,
    byteCodeExpires: z.number().min(0).max(86_400).default(10).describe("seconds from 0 to 86400 (0: never reload)"),
    proxyProtocol: z.boolean().default(false).describe("true or false"),
    maxConnections: z.int().min(0).default(0).describe("a whole number, 0 or more (0: no limit)").meta(live),
    ...listener,
  })
  .refine(({ proxyProtocol, trustedProxies }) => !proxyProtocol || trustedProxies.length > 0, {
    path: ["proxyProtocol"],
    message: "trustedProxies beside it: who may name clients",
  })
  .refine(({ proxyProtocol, protocol, tls }) => !(proxyProtocol && protocol === "socket" && tls), {
    path: ["proxyProtocol"],
    message: "false on a socket server with tls, which could not read the header: leave TLS to the proxy",
  })
  .transform((given, context) => {
    const option = given.options.path;
    if (given.path === undefined && option === undefined) return given;
    if (given.path !== undefined && option !== undefined && given.path !== option) {
      context.addIssue({ code: "custom", path: ["path"], message: `the same as the option path, "${option}"` });
      return z.NEVER;
    }
    const path = urlPath.safeParse(given.path ?? option);
    if (!path.success) {
      context.addIssue({ code: "custom", path: ["options"], message: 'an option path that starts with "/"' });
      return z.NEVER;
    }
    return { ...given, path: path.data, options: { ...given.options, path: path.data } };
  })
  .describe("an object");

const user = z
  .strictObject({
    username: z
      .string()
      .regex(/^[^:\s]+$/)
      .describe("a name without spaces and colons"),
    password: text("text that is not empty (in quotes if it is all digits)"),
    roles: z
      .array(z.enum(["read", "write"]).describe("read or write"))
      .min(1)
      .describe("a list of read and write, such as [read, write]"),
    host: z
      .string()
      .regex(/^(\*|[0-9A-Fa-f.:*]+)$/)
      .default("*")
      .describe("an address with * for any part, such as 10.0.*.*, or * for any"),
  })
  .describe("an object with username, password and roles");

const redisServers = z
  .strictObject({
    url: z
      .string()
      .regex(/^rediss?:\/\/\S+$/)
      .optional()
      .describe("a URL such as redis://user:password@127.0.0.1:6379/0, or rediss:// for TLS"),
    sentinels: z.array(address).min(1).optional().describe("a list of host:port"),
    master: text("the name Sentinel knows the master by").default("mymaster"),
    nodes: z.array(address).min(1).optional().describe("a list of host:port"),
    username: text().optional(),
    password: text("text that is not empty (in quotes if it is all digits)").optional(),
    keyPrefix: text().default("connmix:"),
    ttl: z.number().min(1).max(3600).default(10).describe("seconds from 1 to 3600"),
  })
  .transform(({ url, sentinels, nodes, ...rest }, context) => {
    const given = Object.entries({ url, sentinels, nodes }).filter(([, value]) => value !== undefined);
    for (const [name] of given.slice(1)) {
      context.addIssue({ code: "custom", path: [name], message: "only one of url, sentinels and nodes" });
    }
    return { url: given.length > 0 ? url : "redis://127.0.0.1:6379", sentinels, nodes, ...rest };
  })
  .prefault({})
  .describe("an object");

const scriptRedis = z
  .strictObject({
    name: text().default("default"),
    addr: address.default("127.0.0.1:6379"),
    password: text("text that is not empty (in quotes if it is all digits)").optional(),
    db: z.int().min(0).default(0).describe("a database number, 0 or more"),
    poolSize: atLeastOne.default(4),
    idleTimeout: seconds.default(60),
  })
  .describe("an object with name and addr");

export const configSchema = z
  .strictObject({
    drainTimeout: z.number().min(0).max(86_400).default(10).describe("seconds from 0 to 86400"),
    logging: z
      .strictObject({
        filename: text("the path of a file").default("logs/connmix.log"),
        maxFiles: atLeastOne.default(7),
        level: z
          .enum(["debug", "info", "warn", "error"])
          .default("info")
          .describe("debug, info, warn or error")
          .meta(live),
      })
      .prefault({})
      .describe("an object"),
    prometheus: z
      .strictObject({
        summary: z
          .strictObject({
            maxAge: z.number().min(1).default(600).describe("seconds, 1 or more"),
            ageBuckets: z.int().min(1).max(1000).default(5).describe("a whole number from 1 to 1000"),
          })
          .prefault({})
          .describe("an object"),
      })
      .prefault({})
      .describe("an object"),
    access: z
      .strictObject({ users: z.array(user).default([]).describe("a list of users").meta(live) })
      .prefault({})
      .describe("an object"),
    cluster: z
      .strictObject({
        name: text("a name").default("connmix"),
        secret: text("text that is not empty (in quotes if it is all digits)").optional(),
        registry: z.enum(["center", "redis"]).default("center").describe("center or redis"),
        redis: redisServers,
        advertise: z
          .union([z.ipv4(), z.ipv6(), z.hostname()])
          .optional()
          .describe("a host name or address, without a port"),
      })
      .prefault({})
      .describe("an object"),
    center: z
      .strictObject({
        registry: z
          .strictObject({ port: port.default(6786), bind })
          .prefault({})
          .describe("an object"),
        apiServer: apiServer(6787),
      })
      .prefault({})
      .describe("an object"),
    engine: z
      .strictObject({
        centerRegistry: address.default("127.0.0.1:6786"),
        meshPoint: z
          .strictObject({ port: port.default(6788), bind })
          .prefault({})
          .describe("an object"),
        apiServer: apiServer(6789),
        luavm: z
          .strictObject({
            maxExecTime: atLeastOne.default(1000).describe("milliseconds, 1 or more").meta(live),
            queue: z
              .strictObject({
                topicSize: atLeastOne.default(2000),
                maxTopics: atLeastOne.default(100),
                maxBytes: bytes.default(256 * 1024 * 1024),
              })
              .prefault({})
              .describe("an object"),
            redis: z
              .array(scriptRedis)
              .default([])
              .superRefine((servers, context) => refuseRepeated(servers, "name", context))
              .describe("a list of Redis servers"),
          })
          .prefault({})
          .describe("an object"),
        servers: z
          .array(server)
          .prefault([{ port: 6790 }])
          .describe("a list of servers"),
      })
      .superRefine(refuseSharedPorts)
      .prefault({})
      .describe("an object"),
  })
  .describe("an object with keys such as engine and cluster");

export type Config = z.output<typeof configSchema>;
export type ClusterConfig = Config["cluster"];
export type ServerConfig = Config["engine"]["servers"][number];
