// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the notation under test
import { describe, expect, test } from "bun:test";
import { builtinFiles } from "../../src/builtin.ts";
import { type Key, rootKey } from "../../src/config/keys.ts";
import { parseConfig } from "../../src/config/parse.ts";
import type { Config, ServerConfig } from "../../src/config/schema.ts";

const parse = (text: string, environment: Record<string, string> = {}): Config =>
  parseConfig(text, "c.yaml", environment).config;

const server = (lines: string, environment: Record<string, string> = {}): ServerConfig =>
  parse(`engine:\n  servers:\n    - port: 1\n${lines.replaceAll(/^/gm, "      ")}`, environment).engine.servers[0]!;

describe("conf/connmix.yaml", () => {
  const manual = builtinFiles["conf/connmix.yaml"]!;

  test("says exactly the defaults", () => {
    expect(parse(manual)).toEqual(parse(""));
  });

  test("names every key", () => {
    const named = new Set([...manual.matchAll(/(\w+):/g)].map(([, key]) => key!));
    expect(keysOf(rootKey).filter((key) => !named.has(key))).toEqual([]);
  });

  test("marks the keys that are live, and no others", () => {
    const lines = manual.split("\n");
    const marked = new Set<string>();
    for (const [index, line] of lines.entries()) {
      if (!line.includes("[live]") || line.includes("Keys marked")) continue;
      marked.add(/^\s*(\w+):/.exec(lines.slice(index + 1).find((next) => !/^\s*#/.test(next))!)![1]!);
    }
    expect([...marked].sort()).toEqual([...new Set(keysOf(rootKey, true))].sort());
  });

  function keysOf({ properties, items }: Key, liveOnly = false): string[] {
    const own = Object.entries(properties ?? {}).flatMap(([name, key]) => [
      ...(!liveOnly || key.reload ? [name] : []),
      ...keysOf(key, liveOnly),
    ]);
    return items ? [...own, ...keysOf(items, liveOnly)] : own;
  }
});

describe("the defaults of the reference", () => {
  const { logging, prometheus, access, cluster, center, engine, drainTimeout } = parse("");
  test("outside the engine", () => {
    expect(drainTimeout).toBe(10);
    expect(logging).toEqual({ filename: "logs/connmix.log", maxFiles: 7, level: "info" });
    expect(prometheus.summary).toEqual({ maxAge: 600, ageBuckets: 5 });
    expect(access.users).toEqual([]);
    expect(cluster).toMatchObject({
      name: "connmix",
      registry: "center",
      redis: { url: "redis://127.0.0.1:6379", ttl: 10 },
    });
    expect(cluster.secret).toBeUndefined();
    expect(center.registry).toEqual({ port: 6786, bind: "0.0.0.0" });
    expect(center.apiServer).toMatchObject({ port: 6787, bind: "0.0.0.0" });
  });
  test("of the engine", () => {
    expect(engine.centerRegistry).toBe("127.0.0.1:6786");
    expect(engine.meshPoint).toEqual({ port: 6788, bind: "0.0.0.0" });
    expect(engine.apiServer).toMatchObject({ port: 6789, bind: "0.0.0.0", readTimeout: 60, writeTimeout: 60 });
    expect(engine.luavm).toEqual({
      maxExecTime: 1000,
      queue: { topicSize: 2000, maxTopics: 100, maxBytes: 268_435_456 },
      redis: [],
    });
    expect(engine.servers).toHaveLength(1);
    expect(engine.servers[0]).toMatchObject({
      port: 6790,
      protocol: "websocket",
      entry: "lua/entry.lua",
      byteCodeExpires: 10,
      readTimeout: 60,
      readBufferSize: 2 ** 20,
      writeBufferSize: 2 ** 24,
    });
  });
  test("come back for keys and sections left empty", () => {
    expect(parse("engine:\n  apiServer:\nlogging:\n  level:\n")).toEqual(parse(""));
  });
});

describe("spellings", () => {
  test("snake_case is the same key, everywhere", () => {
    const snake = parse(
      `
logging: { max_files: 3 }
engine:
  center_registry: 'c:1'
  mesh_point: { port: 2 }
  api_server: { read_timeout: 3, write_buffer_size: 4 }
  luavm: { max_exec_time: 5, queue: { topic_size: 6 } }
  servers: [{ port: 7, bytecode_expires: 8, byte_code_expires: }]
`.replace(", byte_code_expires: ", ""),
    );
    expect(snake.logging.maxFiles).toBe(3);
    expect(snake.engine).toMatchObject({
      centerRegistry: "c:1",
      meshPoint: { port: 2 },
      apiServer: { readTimeout: 3, writeBufferSize: 4 },
      luavm: { maxExecTime: 5, queue: { topicSize: 6 } },
      servers: [{ port: 7, byteCodeExpires: 8 }],
    });
  });

  test("both spellings of one key are an error", () => {
    expect(() => parse("engine:\n  api_server: { port: 1 }\n  apiServer: { port: 2 }")).toThrow(
      "c.yaml:3: engine.apiServer: found the key twice, the second time as apiServer, expected one spelling of it",
    );
  });

  test("names of options are left alone", () => {
    expect(server("options: { read_timeout: 1, $x: 2 }").options).toEqual({ read_timeout: 1, $x: 2 });
  });
});

describe("the options of a server", () => {
  test("as a list or as a map", () => {
    const expected = { greeting: "hi", limit: 3, on: true };
    expect(
      server(
        "options:\n  - { name: greeting, value: hi }\n  - { name: limit, value: 3 }\n  - { name: on, value: true }",
      ).options,
    ).toEqual(expected);
    expect(server("options: { greeting: hi, limit: 3, on: true }").options).toEqual(expected);
  });

  test("path as a key and as an option are the same", () => {
    for (const lines of ["path: /chat", "options: { path: /chat }", "options: [{ name: path, value: /chat }]"]) {
      const { path, options } = server(lines);
      expect({ path, option: options.path }).toEqual({ path: "/chat", option: "/chat" });
    }
  });
});

describe("the environment", () => {
  const text = (value: string, environment: Record<string, string> = {}) =>
    parse(`cluster:\n  name: ${value}`, environment).cluster.name;

  test("fills in values, whole or in part, quoted or not", () => {
    expect(text("${A}", { A: "x" })).toBe("x");
    expect(text('"${A}-${B}"', { A: "x", B: "y" })).toBe("x-y");
    expect(text("'pre ${A}'", { A: "# no: comment" })).toBe("pre # no: comment");
  });

  test("values take the type the key wants", () => {
    expect(text("${A}", { A: "12" })).toBe("12");
    expect(server('readTimeout: "${A}"', { A: "1.5" }).readTimeout).toBe(1.5);
    expect(server("options: { on: '${A}', n: '${B}' }", { A: "true", B: "0x10" }).options).toEqual({ on: true, n: 16 });
  });

  test("a default stands in for what is unset or empty", () => {
    expect(text("${A:-d}")).toBe("d");
    expect(text("${A:-d}", { A: "" })).toBe("d");
    expect(text("${A:-d}", { A: "x" })).toBe("x");
  });

  test("a value that comes out empty counts as not set", () => {
    expect(parse("cluster:\n  secret: ${S:-}").cluster.secret).toBeUndefined();
    expect(text("${A}", { A: "" })).toBe("connmix");
  });

  test("$${ is a plain ${", () => {
    expect(text("$${A}")).toBe("${A}");
  });

  test("a variable that is not set is an error that names it, once", () => {
    let message = "";
    try {
      parse("engine:\n  servers:\n    - port: ${CLIENT_PORT}");
    } catch (thrown) {
      message = (thrown as Error).message;
    }
    expect(message).toBe(
      "c.yaml:3: engine.servers[0].port: found ${CLIENT_PORT}, expected the environment variable CLIENT_PORT to be set, or a default as in ${CLIENT_PORT:-default}",
    );
  });

  test("a reference that is none is an error", () => {
    expect(() => text("a${")).toThrow('c.yaml:2: cluster.name: found "${", expected ${NAME} or ${NAME:-default}');
    expect(() => text("${1x}")).toThrow('found "${1x}"');
  });

  test("a value of the wrong type is an error like any other", () => {
    expect(() => parse("drainTimeout: ${T}", { T: "soon" })).toThrow(
      'c.yaml:1: drainTimeout: found "soon", expected seconds',
    );
  });
});

test("Redis by Sentinel or Cluster", () => {
  expect(parse("cluster: { redis: { sentinels: ['a:1', '[::1]:2'], master: m } }").cluster.redis).toMatchObject({
    url: undefined,
    sentinels: ["a:1", "[::1]:2"],
    master: "m",
  });
  expect(parse("cluster: { redis: { nodes: ['a:1'], password: p } }").cluster.redis).toMatchObject({
    url: undefined,
    nodes: ["a:1"],
    password: "p",
  });
});
