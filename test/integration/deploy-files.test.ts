import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { parseConfig } from "../../src/config/parse.ts";
import type { Config } from "../../src/config/schema.ts";

const ROOT = resolve(import.meta.dir, "../..");
const DEPLOY = join(ROOT, "conf/deploy");

const read = (name: string) => readFileSync(join(DEPLOY, name), "utf8");
const container = read("connmix.yaml");

/** What a node in a container runs with, given its environment. */
function configOf(environment: Record<string, string>): Config {
  return parseConfig(container, "conf/deploy/connmix.yaml", environment).config;
}

const DRAIN_SECONDS = configOf({ CONNMIX_SECRET: "s", CONNMIX_PASSWORD: "p" }).drainTimeout;
const KNOWN = new Set([...container.matchAll(/\$\{(\w+)/g)].map(([, name]) => name));

function expectEnvironment(environment: Record<string, string>): Config {
  for (const name of Object.keys(environment)) expect(KNOWN).toContain(name);
  return configOf(environment);
}

describe("Dockerfile", () => {
  const lines = read("Dockerfile")
    .replace(/\\\n/g, " ")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.trim().split(/\s+/));
  const packageJson = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

  test("builds with the Bun this project is made for, by scripts that exist, from files that exist", () => {
    expect(lines[0]).toEqual(["FROM", `oven/bun:${packageJson.devDependencies.bun}`, "AS", "build"]);
    for (const [instruction, ...words] of lines) {
      if (instruction === "COPY" && !words[0]?.startsWith("--from")) {
        for (const source of words.slice(0, -1)) expect(existsSync(join(ROOT, source))).toBeTrue();
      }
      if (instruction === "RUN" && words[0] === "bun" && words[1] === "run") {
        expect(Object.keys(packageJson.scripts)).toContain(words[2]!);
      }
    }
  });

  test("runs as a user of its own, and exposes every port", () => {
    expect(lines.find(([instruction]) => instruction === "USER")?.[1]).toBe("10001:10001");
    const { center, engine } = configOf({ CONNMIX_SECRET: "s", CONNMIX_PASSWORD: "p" });
    const ports = [center.registry, center.apiServer, engine.meshPoint, engine.apiServer, ...engine.servers];
    const [, ...exposed] = lines.find(([instruction]) => instruction === "EXPOSE")!;
    expect(exposed.toSorted()).toEqual(ports.map(({ port }) => String(port)).toSorted());
  });
});

interface Service {
  image: string;
  command: string[];
  environment?: Record<string, string>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck: { test: string[] };
  stop_grace_period?: string;
  build?: { context: string; dockerfile: string };
  ports?: string[];
}

describe.each(["center", "redis"] as const)("compose.%s.yaml", (registry) => {
  const text = read(`compose.${registry}.yaml`).replace(/\$\{(\w+):\?[^}]*\}/g, "given-$1");
  const { services } = parse(text, { merge: true }) as { services: Record<string, Service> };
  const nodes = Object.entries(services).filter(([, { image }]) => image === "connmix");

  test("runs two engines and their registry", () => {
    const commands = nodes.map(([, { command }]) => command[0]).toSorted();
    expect(commands).toEqual(registry === "center" ? ["center", "engine", "engine"] : ["engine", "engine"]);
    expect(Object.keys(services)).toContain(registry);
  });

  test("gives every node a valid configuration in which it finds the others", () => {
    for (const [name, { environment = {} }] of nodes) {
      const { cluster, engine } = expectEnvironment(environment);
      expect(cluster).toMatchObject({ registry, secret: "given-CONNMIX_SECRET", advertise: name });
      const host = registry === "center" ? engine.centerRegistry : cluster.redis.url;
      expect(host).toContain(registry);
    }
  });

  test("is drained, checked and built", () => {
    for (const [, node] of nodes) {
      expect(Number.parseInt(node.stop_grace_period ?? "", 10)).toBeGreaterThan(DRAIN_SECONDS);
      expect(existsSync(join(DEPLOY, node.build!.context, node.build!.dockerfile))).toBeTrue();
      expect(node.healthcheck.test.slice(0, 3)).toEqual(["CMD", "connmix", "nodes"]);
      const port = node.command[0] === "center" ? 6787 : 6789;
      expect(node.healthcheck.test.at(-1)).toBe(`http://127.0.0.1:${port}`);
    }
    for (const { depends_on = {} } of Object.values(services)) {
      for (const name of Object.keys(depends_on)) expect(services[name]?.healthcheck).toBeDefined();
    }
    const published = Object.values(services).flatMap(({ ports = [] }) => ports.map((port) => port.split(":")[0]));
    expect(new Set(published).size).toBe(published.length);
  });
});

type Labels = Record<string, string>;
interface Container {
  args: string[];
  env: { name: string; value?: string; valueFrom?: object }[];
  ports: { name: string; containerPort: number }[];
  lifecycle?: { preStop: { exec: { command: string[] } } };
  resources: { requests: Labels; limits: Labels };
  securityContext: { readOnlyRootFilesystem: boolean };
  volumeMounts: { name: string; mountPath: string }[];
  [probe: `${string}Probe`]: { httpGet: { path: string; port: string } };
}
interface Manifest {
  kind: string;
  metadata: { name: string; labels?: Labels };
  spec: {
    selector: Labels & { matchLabels: Labels };
    template: {
      metadata: { labels: Labels };
      spec: { terminationGracePeriodSeconds: number; containers: Container[]; volumes: { name: string }[] };
    };
    ports: { port: number; targetPort: string }[];
  };
}

describe.each(["center", "redis"] as const)("kubernetes/%s.yaml", (registry) => {
  const documents = parseAllDocuments(read(`kubernetes/${registry}.yaml`));
  const manifests = documents.map((document) => document.toJS() as Manifest);
  const deployments = manifests.filter(({ kind }) => kind === "Deployment");
  const services = manifests.filter(({ kind }) => kind === "Service");

  test("has what the variant needs", () => {
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    const engine = ["Deployment connmix-engine", "Service connmix-clients", "Service connmix-api"];
    const center = ["Deployment connmix-center", "Service connmix-center"];
    const names = manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names.toSorted()).toEqual(
      [...(registry === "center" ? center : []), ...engine, "PodDisruptionBudget connmix-engine"].toSorted(),
    );
  });

  test("selectors find their pods, and ports their containers", () => {
    for (const { spec } of deployments) expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
    for (const { spec } of services) {
      const target = deployments.find(({ spec: { template } }) =>
        Object.entries(spec.selector).every(([label, value]) => template.metadata.labels[label] === String(value)),
      );
      const names = target?.spec.template.spec.containers.flatMap(({ ports }) => ports.map(({ name }) => name));
      for (const { targetPort } of spec.ports) expect(names).toContain(targetPort);
    }
  });

  test("every node has a valid configuration", () => {
    for (const { spec } of deployments) {
      for (const { env, args, ports } of spec.template.spec.containers) {
        const environment = Object.fromEntries(env.map(({ name, value }) => [name, value ?? valueOfReference(name)]));
        const { cluster, center, engine } = expectEnvironment(environment);
        expect(cluster.registry).toBe(registry);
        const own = args[0] === "center" ? [center.registry, center.apiServer] : [engine.meshPoint, engine.apiServer];
        for (const { port } of own) expect(ports.map(({ containerPort }) => containerPort)).toContain(port);
        const found = registry === "center" ? services.find(({ metadata }) => metadata.name === "connmix-center") : 0;
        if (found && args[0] === "engine") expect(engine.centerRegistry).toBe("connmix-center:6786");
      }
    }
  });

  test("is probed, drained and limited", () => {
    for (const { spec } of deployments) {
      const { containers, terminationGracePeriodSeconds, volumes } = spec.template.spec;
      for (const container of containers) {
        for (const probe of ["livenessProbe", "readinessProbe"] as const) {
          const { path, port } = container[probe]!.httpGet;
          expect(path).toBe(probe === "livenessProbe" ? "/healthz" : "/readyz");
          expect(container.ports.map(({ name }) => name)).toContain(port);
        }
        const [, wait = "0"] = container.lifecycle?.preStop.exec.command ?? [];
        expect(terminationGracePeriodSeconds).toBeGreaterThan(Number(wait) + DRAIN_SECONDS);
        expect(container.args[0] === "center" || container.lifecycle !== undefined).toBeTrue();
        for (const amounts of [container.resources.requests, container.resources.limits]) {
          expect(Object.keys(amounts).toSorted()).toEqual(["cpu", "memory"]);
        }
        expect(container.securityContext.readOnlyRootFilesystem).toBeTrue();
        expect(container.volumeMounts.map(({ name }) => name)).toEqual(volumes.map(({ name }) => name));
        expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toContain("/app/logs");
      }
    }
  });
});

/** What a secret or the pod would give. */
function valueOfReference(name: string): string {
  if (name === "CONNMIX_ADVERTISE") return "10.1.2.3";
  return name === "CONNMIX_REDIS_URL" ? "redis://:password@redis:6379" : "given";
}

describe("connmix.service", () => {
  const unit = read("connmix.service");

  test("is a unit that systemd accepts", async () => {
    const folder = mkdtempSync(join(tmpdir(), "connmix-unit-"));
    try {
      const file = join(folder, "connmix.service");
      writeFileSync(file, unit.replaceAll("/usr/local/bin/connmix", "/bin/true"));
      const verify = Bun.spawn(["systemd-analyze", "verify", "--man=no", file], { stderr: "pipe" });
      expect(await new Response(verify.stderr).text()).toBe("");
      expect(await verify.exited).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("leaves time to drain", () => {
    expect(unit).toMatch(/^KillSignal=SIGTERM$/m);
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(DRAIN_SECONDS);
  });
});
