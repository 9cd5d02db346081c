import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseConfig } from "../../src/config/parse.ts";
import { checkScript } from "../../src/lua/check.ts";
import { runCommand } from "../support/command.ts";
import { Connmix, freePorts } from "../support/connmix.ts";
import { until } from "../support/eventually.ts";
import { LuaConsole } from "../support/lua-console.ts";
import { allPages, type Block, Page } from "../support/markdown.ts";
import { metric, scrape } from "../support/metrics.ts";
import { RedisServer } from "../support/redis.ts";
import { Scripted } from "../support/scripted.ts";
import { TestSocket } from "../support/websocket.ts";

const ROOT = resolve(import.meta.dir, "../..");
const pages = allPages();
const api = new Page("src/api/README.md");

function blocks(language: string): Block[] {
  return pages.flatMap((page) => page.blocks.filter((block) => block.language === language));
}

test("every link leads somewhere", () => {
  expect(pages.map(({ name }) => name)).toContain("README.md");
  for (const page of pages) expect([page.name, ...page.brokenLinks()]).toEqual([page.name]);
});

test("every configuration in the text is valid", () => {
  const samples = blocks("yaml");
  expect(samples.length).toBeGreaterThan(5);
  for (const { text, at } of samples) {
    const environment = Object.fromEntries([...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => [name!, "secret"]));
    expect(() => parseConfig(text, at, environment)).not.toThrow();
  }
});

test("every command in the text exists", async () => {
  const help = (await runCommand(["--help"])).stdout;
  const known = new Set([...help.matchAll(/^ +(\w+) {2,}\S/gm)].map(([, name]) => name!));
  expect(known).toContain("engine");
  for (const page of pages) {
    for (const code of page.code) {
      for (const [, name] of code.matchAll(/(?:^|\s)connmix(?: --)? ([a-z]+)\b/gm)) {
        expect(known, `${page.name}: connmix ${name}`).toContain(name!);
      }
    }
  }
});

test("the numbers in the text are the defaults", () => {
  const { engine, drainTimeout, logging } = parseConfig("", "defaults", {}).config;
  const [server] = engine.servers;
  const readme = new Page("README.md").text;
  const lua = new Page("lua/README.md").text;
  expect(lua).toContain(`\`engine.luavm.maxExecTime\` (${engine.luavm.maxExecTime.toLocaleString("en")} ms)`);
  expect(lua).toContain(`\`luavm.queue.topicSize\` (${engine.luavm.queue.topicSize.toLocaleString("en")})`);
  expect(lua).toContain(`\`luavm.queue.maxTopics\` (${engine.luavm.queue.maxTopics})`);
  expect(lua).toContain(`every \`byteCodeExpires\` seconds (${server!.byteCodeExpires})`);
  expect(readme).toContain(`closed after ${server!.readTimeout} seconds`);
  expect(api.text).toContain(`\`readTimeout\` (${engine.apiServer.readTimeout} s)`);
  expect(api.text).toContain(`\`engine.apiServer.readBufferSize\`, ${engine.apiServer.readBufferSize / 2 ** 20} MiB`);
  expect(api.text).toContain(`\`engine.apiServer.writeBufferSize\`, ${engine.apiServer.writeBufferSize / 2 ** 20} MiB`);
  expect(new Page("conf/deploy/README.md").text).toContain(`\`drainTimeout\` (${drainTimeout} s)`);
  expect(logging.filename).toBe("logs/connmix.log");
});

test("every TypeScript sample is right about the library", async () => {
  const samples = blocks("ts");
  expect(samples.length).toBeGreaterThan(3);
  const folder = mkdtempSync(join(tmpdir(), "connmix-samples-"));
  try {
    for (const [index, { text }] of samples.entries()) {
      writeFileSync(join(folder, `${index}.ts`), text.replace('"connmix/client"', `"${ROOT}/src/client/index.ts"`));
    }
    const compilerOptions = { typeRoots: [`${ROOT}/node_modules/@types`] };
    const config = { extends: `${ROOT}/tsconfig.json`, compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = Bun.spawn([`${ROOT}/node_modules/.bin/tsc`, "-p", folder], { stdout: "pipe" });
    expect(await new Response(tsc.stdout).text()).toBe("");
    expect(await tsc.exited).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe("Lua", () => {
  test("every script in the text compiles and uses nothing that does not exist", () => {
    const scripts = blocks("lua");
    expect(scripts.length).toBeGreaterThan(10);
    for (const { text, at } of scripts) {
      const protocol = text.includes("protocol_input") ? "socket" : "websocket";
      const problems = checkScript(readable(text), at, protocol).filter(
        ({ message }) => !/ is missing: /.test(message),
      );
      expect([at, ...problems.map(({ line, message }) => `${line}: ${message}`)]).toEqual([at]);
    }
  });

  test("what is behind --> is what comes out", async () => {
    const redis = await RedisServer.start({ arguments: ["--save", ""] });
    const lua = await LuaConsole.start({ redis: [{ name: "default", addr: redis.address }] });
    try {
      const samples = blocks("lua").filter(({ text }) => text.includes(" --> "));
      expect(samples.length).toBeGreaterThan(5);
      for (const { text, at } of samples) {
        const client = await lua.client();
        const results = await client.run(`local results = {}\n${collecting(text)}\nreturn results`);
        const expected = [...text.matchAll(/ --> (.+)$/gm)].map(([, values]) => JSON.parse(`[${values}]`));
        expect([at, ...results]).toEqual([at, expected]);
        client.socket.close();
      }
    } finally {
      await lua.stop();
      await redis.dispose();
    }
  }, 30_000);
});

test("the protocol in the text works, whatever pieces its packets come in", () => {
  const sample = blocks("lua").find(({ text }) => text.startsWith("function protocol_input"))!;
  const packet = (value: object) => {
    const text = JSON.stringify(value);
    return Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text)]);
  };
  const packets = Buffer.concat([packet({ n: 1 }), packet([]), packet({ n: 3 })]);
  const answers = Buffer.concat([packet({ echo: { n: 1 } }), packet({ echo: [] }), packet({ echo: { n: 3 } })]);
  for (const size of [1, 3, 1000]) {
    const client = new Scripted(sample.text, { protocol: "socket" }).connect();
    client.feed(packets, size);
    expect(client.taken().toString("latin1")).toBe(answers.toString("latin1"));
    client.feed("\0\0");
    expect(client.open).toBeFalse();
  }
});

test("as many messages wait for a callback that waits as the text says", async () => {
  const readme = new Page("README.md").text;
  const limit = Number(/^\| ([\d,]+) messages or 4 MiB/m.exec(readme)![1]!.replace(",", ""));
  const files = { "wait.lua": "function on_message() mix.sleep(60) end" };
  const node = await Connmix.start("dev", freePorts({ entry: "wait.lua" }), { files });
  try {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    const read = async () => metric(await scrape(node.apiPort), "connmix_engine_servers_read_messages_total");
    for (let i = 0; i <= limit; i++) client.send("x");
    await until(async () => (await read()) === limit + 1);
    expect(metric(await scrape(node.apiPort), "connmix_engine_servers_clients")).toBe(1);
    client.send("one too many");
    expect((await client.closed).code).toBe(1008);
  } finally {
    await node.stop();
  }
});

/** The sample as Lua: an expression whose result is shown stands alone on its line. */
function readable(text: string): string {
  return text.replace(/^(.+?) +--> .+$/gm, "local _ = $1");
}

/** The sample with each shown result kept in `results`; nil as mix.null, so that it is not lost. */
function collecting(text: string): string {
  const kept = text.replace(/^(.+?) +--> .+$/gm, "results[#results + 1] = kept($1)");
  return `local function kept(...)
    local t = table.pack(...)
    for i = 1, t.n do if t[i] == nil then t[i] = mix.null end end
    t.n = nil
    return t
  end
  ${kept}`;
}

/** What a line of a dialogue says, where `…` stands for anything. */
function like(line: string): RegExp {
  return new RegExp(`^${line.split("…").map(RegExp.escape).join(".*")}$`);
}

describe("API", () => {
  const EXAMPLE_ID = "589555689140238";
  const PORT = "6789";
  let node: Connmix;

  beforeAll(async () => {
    // The walk-through's script; each client is told its id first.
    const entry = `${readFileSync(`${ROOT}/lua/entry.lua`, "utf8")}
      local on_walk_through_handshake = on_handshake
      function on_handshake(client_id, headers, server, conn)
        on_walk_through_handshake(client_id, headers, server, conn)
        conn:send(client_id)
      end
      local on_walk_through_message = on_message
      function on_message(msg, conn)
        on_walk_through_message(msg, conn)
        conn:send("pushed")
      end`;
    node = await Connmix.start("dev", freePorts({ entry: "entry.lua" }), { files: { "entry.lua": entry } });
  });
  afterAll(() => node.stop());

  async function withClient(use: (client: TestSocket, id: string) => Promise<void>): Promise<void> {
    const client = await TestSocket.connect(`ws://127.0.0.1:${node.serverPort()}`);
    await use(client, await client.text());
    client.close();
  }

  const dialogues = pages.flatMap((page) => page.blocks).filter(({ text }) => text.startsWith("→"));
  test.each(dialogues.map((block) => [block.at, block] as const))("the dialogue at %s", (_, { text }) =>
    withClient(async (client, id) => {
      const backend = await TestSocket.connect(`ws://127.0.0.1:${node.apiPort}/ws/v1`);
      try {
        if (/"(event|e)":/.test(text)) {
          client.send("test");
          expect(await client.text()).toBe("pushed");
        }
        for (const line of text.replaceAll(EXAMPLE_ID, id).split("\n")) {
          if (line.startsWith("→ ")) backend.send(line.slice(2));
          else expect(await backend.text()).toMatch(like(line.slice(2)));
        }
      } finally {
        backend.close();
        await backend.closed;
      }
    }),
  );

  const calls = api.blocks.filter(({ language }) => language === "sh");
  test.each(calls.map((block) => [block.at, block] as const))("the requests at %s", (_, { text }) =>
    withClient(async (_client, id) => {
      const here = text.replaceAll(EXAMPLE_ID, id).replaceAll(`:${PORT}/`, `:${node.apiPort}/`);
      for (const [, command, answer] of here.matchAll(/^(curl .+)\n# (.+)$/gm)) {
        const curl = Bun.spawn(["sh", "-c", command!.replace("curl ", "curl -sS ")], { stderr: "inherit" });
        expect(await new Response(curl.stdout).text()).toBe(answer!);
      }
    }),
  );

  test("there are dialogues and requests for everything", () => {
    expect(dialogues.length).toBeGreaterThan(5);
    expect(calls.length).toBe(2);
  });

  test("every metric in the text is there, and every metric that is there is in the text", async () => {
    const exposed = new Set<string>();
    for (const port of [node.apiPort, node.centerApiPort]) {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      for (const [, name] of text.matchAll(/^# TYPE (connmix_\w+)/gm)) exposed.add(name!);
    }
    const named = new Set(pages.flatMap(({ text }) => text.match(/\bconnmix_\w+\b/g) ?? []));
    expect([...named].toSorted()).toEqual([...exposed].toSorted());
  });
});
