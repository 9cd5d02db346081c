import { describe, expect, test } from "bun:test";
import { parseConfig } from "../../src/config/parse.ts";
import { UserError } from "../../src/errors.ts";

/** The lines of the error that a configuration is refused with. */
function problems(text: string, environment: Record<string, string> = {}): string[] {
  try {
    parseConfig(text, "c.yaml", environment);
  } catch (thrown) {
    if (!(thrown instanceof UserError)) throw thrown;
    expect(thrown.exitCode).toBe(1);
    return thrown.message.split("\n");
  }
  return [];
}

describe("an error names file, line, key, the value found and what was expected", () => {
  const cases: [what: string, text: string, expected: string][] = [
    [
      "a wrong type",
      "engine:\n  servers:\n    - port: abc",
      'c.yaml:3: engine.servers[0].port: found "abc", expected a port from 0 to 65535 (0: any free one)',
    ],
    [
      "a value out of range",
      "engine:\n  meshPoint: { port: 70000 }",
      "c.yaml:2: engine.meshPoint.port: found 70000, expected a port from 0 to 65535 (0: any free one)",
    ],
    [
      "a fraction where a whole number is wanted",
      "engine:\n  luavm:\n    queue:\n      topicSize: 1.5",
      "c.yaml:4: engine.luavm.queue.topicSize: found 1.5, expected a whole number, 1 or more",
    ],
    [
      "one of several words",
      "logging:\n  level: verbose",
      'c.yaml:2: logging.level: found "verbose", expected debug, info, warn or error',
    ],
    [
      "a negative time",
      "engine:\n  apiServer:\n    readTimeout: -1",
      "c.yaml:3: engine.apiServer.readTimeout: found -1, expected seconds, 0 or more (0: no limit)",
    ],
    [
      "a missing key, at the line of what it belongs to",
      "engine:\n  servers:\n    - port: 1\n    - protocol: socket",
      "c.yaml:4: engine.servers[1].port: found nothing, expected a port from 0 to 65535 (0: any free one)",
    ],
    [
      "an unknown key, with the closest one",
      "engine:\n  apiServer:\n    readTimout: 3",
      "c.yaml:3: engine.apiServer.readTimout: found an unknown key, expected a known key: did you mean readTimeout?",
    ],
    [
      "an unknown key like no other",
      "cluster:\n  xyzzy: 3",
      "c.yaml:2: cluster.xyzzy: found an unknown key, expected one of name, secret, registry, redis, advertise",
    ],
    ["a list where an object is wanted", "cluster: [a]", "c.yaml:1: cluster: found a list, expected an object"],
    [
      "a text instead of everything",
      "hello",
      'c.yaml:1: found "hello", expected an object with keys such as engine and cluster',
    ],
    [
      "an address without a port",
      "engine: { centerRegistry: 127.0.0.1 }",
      'c.yaml:1: engine.centerRegistry: found "127.0.0.1", expected host:port, such as 127.0.0.1:6786 or [::1]:6786',
    ],
    [
      "an address with a port too high",
      "engine: { centerRegistry: 'a:99999' }",
      'c.yaml:1: engine.centerRegistry: found "a:99999", expected host:port, such as 127.0.0.1:6786 or [::1]:6786',
    ],
    [
      "an option of a wrong type, in a list",
      "engine:\n  servers:\n    - port: 1\n      options:\n        - { name: a, value: b }\n        - { name: c, value: [1] }",
      "c.yaml:6: engine.servers[0].options[1].value: found a list, expected text, a number, true or false",
    ],
    [
      "an option of a wrong type, in a map",
      "engine:\n  servers:\n    - port: 1\n      options:\n        a: b\n        c: { d: 1 }",
      "c.yaml:6: engine.servers[0].options.c: found an object, expected text, a number, true or false",
    ],
    [
      "an option twice",
      "engine:\n  servers:\n    - port: 1\n      options:\n        - { name: a, value: 1 }\n        - { name: a, value: 2 }",
      'c.yaml:6: engine.servers[0].options[1].name: found "a", expected a name that no entry before it has',
    ],
    [
      "a Redis server twice",
      "engine:\n  luavm:\n    redis:\n      - { name: a }\n      - { name: a, db: 1 }",
      'c.yaml:5: engine.luavm.redis[1].name: found "a", expected a name that no entry before it has',
    ],
    [
      "a port that another server has",
      "engine:\n  servers:\n    - port: 7000\n    - { port: 7000, bind: 127.0.0.1 }",
      "c.yaml:4: engine.servers[1].port: found 7000, expected a port of its own: engine.servers[0].port is 7000, too",
    ],
    [
      "an interval no timer can count",
      "engine:\n  servers:\n    - port: 1\n      byteCodeExpires: 9999999",
      "c.yaml:4: engine.servers[0].byteCodeExpires: found 9999999, expected seconds from 0 to 86400 (0: never reload)",
    ],
    [
      "more parts than memory holds",
      "prometheus: { summary: { ageBuckets: 1000000000 } }",
      "c.yaml:1: prometheus.summary.ageBuckets: found 1000000000, expected a whole number from 1 to 1000",
    ],
    [
      "a time no timer can count",
      "drainTimeout: 9999999",
      "c.yaml:1: drainTimeout: found 9999999, expected seconds from 0 to 86400",
    ],
    [
      "a host pattern",
      "access:\n  users:\n    - { username: a, password: b, roles: [read], host: example.* }",
      'c.yaml:3: access.users[0].host: found "example.*", expected an address with * for any part, such as 10.0.*.*, or * for any',
    ],
    [
      "an unknown role",
      "access:\n  users:\n    - username: a\n      password: b\n      roles: [read, admin]",
      'c.yaml:5: access.users[0].roles[1]: found "admin", expected read or write',
    ],
    [
      "a range that is none",
      "engine:\n  apiServer:\n    trustedProxies:\n      - 10.0.0.0/8\n      - 10.0.0.0/99",
      'c.yaml:5: engine.apiServer.trustedProxies[1]: found "10.0.0.0/99", expected an address or a range in CIDR form, such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      "the PROXY protocol from nobody",
      "engine:\n  servers:\n    - port: 1\n      proxyProtocol: true",
      "c.yaml:4: engine.servers[0].proxyProtocol: found true, expected trustedProxies beside it: who may name clients",
    ],
    [
      "the PROXY protocol before TLS on a socket server",
      "engine:\n  servers:\n    - { port: 1, protocol: socket, trustedProxies: [10.0.0.1], tls: { cert: a, key: b }, proxyProtocol: true }",
      "c.yaml:3: engine.servers[0].proxyProtocol: found true, expected false on a socket server with tls, which could not read the header: leave TLS to the proxy",
    ],
    [
      "half of tls",
      "engine:\n  apiServer:\n    tls: { cert: a.pem }",
      "c.yaml:3: engine.apiServer.tls.key: found nothing, expected the path of a PEM file",
    ],
    [
      "two ways to reach Redis",
      "cluster:\n  redis:\n    url: redis://h\n    nodes: ['a:1']",
      "c.yaml:4: cluster.redis.nodes: found a list, expected only one of url, sentinels and nodes",
    ],
    [
      "a path that is none",
      "engine:\n  servers:\n    - port: 1\n      path: chat",
      'c.yaml:4: engine.servers[0].path: found "chat", expected a URL path that starts with "/"',
    ],
    [
      "path twice and different",
      "engine:\n  servers:\n    - port: 1\n      path: /a\n      options: { path: /b }",
      'c.yaml:4: engine.servers[0].path: found "/a", expected the same as the option path, "/b"',
    ],
    [
      "broken YAML",
      "engine:\n  servers: [1\ncluster: {}",
      "c.yaml:3: found a YAML error (Flow sequence in block collection must be sufficiently indented and end with a ]), expected valid YAML",
    ],
    [
      "a key twice",
      "drainTimeout: 1\ndrainTimeout: 2",
      "c.yaml:2: found a YAML error (Map keys must be unique), expected valid YAML",
    ],
  ];
  test.each(cases)("%s", (_, text, expected) => {
    expect(problems(text)).toContain(expected);
  });
});

test("all problems are reported at once, in the order of their lines", () => {
  const text =
    "drainTimeout: soon\nlogging:\n  levle: info\nengine:\n  servers:\n    - port: -1\n      protocol: udp\n";
  expect(problems(text).map((line) => line.split(": ", 2).join(": "))).toEqual([
    "c.yaml:1: drainTimeout",
    "c.yaml:3: logging.levle",
    "c.yaml:6: engine.servers[0].port",
    "c.yaml:7: engine.servers[0].protocol",
  ]);
});

test("secrets are not shown", () => {
  const text = [
    "cluster: { secret: 5551234, redis: { url: 'http://me:hunter2@h' } }",
    "access: { users: { username: a, password: hunter2 } }",
  ].join("\n");
  const shown = problems(text).join("\n");
  expect(shown).toContain("cluster.secret: found a number (not shown)");
  expect(shown).toContain('found "http://…@h"');
  expect(shown).not.toMatch(/5551234|hunter2/);
});

test("an alias that contains itself is an error, not an endless loop", () => {
  expect(problems("engine:\n  servers: &again\n    - *again").join("\n")).toContain("nested too deeply");
});

test("servers may share a port number on addresses of their own, and any free one", () => {
  const on = (bind: string) => `{ port: 7000, bind: ${bind} }`;
  expect(problems(`engine: { servers: [${on("127.0.0.1")}, ${on("127.0.0.2")}] }`)).toEqual([]);
  expect(problems("engine: { servers: [{ port: 0 }, { port: 0 }] }")).toEqual([]);
});
