import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reload } from "../../src/lua/reload.ts";
import { until } from "../support/eventually.ts";
import { Scripted } from "../support/scripted.ts";

const folder = mkdtempSync(join(tmpdir(), "connmix-reload-"));
const running: Scripted[] = [];
afterAll(async () => {
  for (const { script } of running) await script.stop();
  rmSync(folder, { recursive: true });
});

let files = 0;

/** An entry that answers what `answer` in a required module says; sizes differ, so that a change is always seen. */
function reloading(): {
  scripted: Scripted;
  entry: string;
  edit(version: string): void;
  editEntry(extra: string): void;
} {
  const name = `module${++files}`;
  const entry = join(folder, `entry${files}.lua`);
  const edit = (version: string) => writeFileSync(join(folder, `${name}.lua`), `return ${version}`);
  const editEntry = (extra: string) =>
    writeFileSync(
      entry,
      `local version = require("${name}")
       ${extra}
       function on_message(msg, conn)
         if msg.data == "wait" then conn:wait_context_value("key") end
         if msg.data == "set" then conn:set_context_value("kept", "value") conn:subscribe("room") end
         if msg.data == "get" then conn:send(conn:context_value("kept") .. conn:channels()[1]) return end
         conn:send(msg.data .. version)
       end`,
    );
  edit("'1'");
  editEntry("");
  const scripted = new Scripted({ path: entry }, { byteCodeExpires: 0.02 });
  running.push(scripted);
  return { scripted, entry, edit, editEntry };
}

test("an edit of a required module is taken up; contexts and subscriptions survive", async () => {
  const { scripted, entry, edit } = reloading();
  const connection = scripted.connect();
  connection.message("set");
  edit("'22'");
  await until(() => scripted.script.stats.reloads === 1);
  connection.message("get");
  connection.message("new");
  expect(connection.texts).toEqual(["set1", "valueroom", "new22"]);
  expect(scripted.log).toEqual([`info reloaded ${entry}`]);
});

test("a callback that waits ends in the old VM; what is queued behind it runs in the new one", async () => {
  const { scripted, edit } = reloading();
  const connection = scripted.connect();
  connection.message("wait");
  connection.message("queued");
  edit("'22'");
  await until(() => scripted.script.stats.reloads === 1);
  scripted.hub.setContextValue(connection, "key", 1);
  expect(connection.texts).toEqual(["wait1", "queued22"]);
});

test("a broken edit is logged once with its line and the old script stays", async () => {
  const { scripted, entry, edit, editEntry } = reloading();
  const connection = scripted.connect();
  editEntry("local broken = = 1");
  await until(() => scripted.script.stats.reloadErrors === 1);
  // A change of another file proves that the timer has looked since; the entry is as broken as it was.
  edit("'4444'");
  await until(() => scripted.script.stats.reloadErrors === 2);
  connection.message("old");
  expect(connection.texts).toEqual(["old1"]);
  expect(scripted.log).toHaveLength(2);
  expect(scripted.log[0]).toContain(`${entry}:2: unexpected symbol near '='`);
  expect(scripted.script.stats.lastReloadError).toContain(`${entry}:2:`);
  editEntry("-- mended, and of another size");
  await until(() => scripted.script.stats.reloads === 1);
  connection.message("new");
  expect(connection.texts).toEqual(["old1", "new4444"]);
  expect(scripted.script.stats.lastReloadError).toBe("");
});

test("an init that fails keeps the old script too", async () => {
  const { scripted, editEntry } = reloading();
  const { stats } = scripted.script;
  editEntry("function init() error('no database') end");
  await until(() => stats.reloadErrors === 1);
  expect(scripted.log[0]).toContain("no database");
  expect(stats.callbacks.init).toMatchObject({ count: 1, errors: 1, timeouts: 0 });
  editEntry("function init() end");
  await until(() => stats.reloads === 1);
  expect(stats.callbacks.init).toMatchObject({ count: 2, errors: 1 });
});

test("no message is lost and none is answered twice while files change ten times", async () => {
  const { scripted, edit } = reloading();
  const connections = Array.from({ length: 20 }, () => scripted.connect());
  let sent = 0;
  for (let change = 1; change <= 10; change++) {
    edit(`'${"v".repeat(change)}'`);
    await until(() => {
      for (const connection of connections) connection.message(`${sent} `);
      sent++;
      return scripted.script.stats.reloads === change;
    });
  }
  for (const connection of connections) {
    expect(connection.texts.map((text) => Number.parseInt(text, 10))).toEqual(
      Array.from({ length: sent }, (_, i) => i),
    );
    expect(connection.closedWith).toBeUndefined();
  }
});

test("an edit made while a broken script loads is found by the next look", async () => {
  const path = join(folder, "edited.lua");
  writeFileSync(path, "one");
  let changes = 0;
  const reload = new Reload(0.01, new Map([[path, "0:0"]]), () => {
    if (++changes === 1) writeFileSync(path, "more than one");
  });
  await until(() => changes === 2);
  reload.stop();
  expect(changes).toBe(2);
});
