import { expect, test } from "bun:test";
import { Members } from "../../src/registry/members.ts";
import type { NodeRecord } from "../../src/registry/registry.ts";
import { until } from "../support/eventually.ts";

function node(id: string, number: number): NodeRecord {
  return { id, number, host: "h", meshPort: 1, apiPort: 2, version: "1", startedAt: 0, servers: [] };
}

function watched(): { members: Members; reports: string[] } {
  const reports: string[] = [];
  const members = new Members((list) => reports.push(list.map(({ id, number }) => `${id}${number}`).join(" ")));
  return { members, reports };
}

test("each change is reported once, with the full list ordered by id", () => {
  const { members, reports } = watched();
  members.replace([node("b", 2), node("a", 1)]);
  members.replace([node("a", 1), node("b", 2)]);
  members.add(node("c", 3));
  members.add(node("c", 3));
  members.add(node("c", 4));
  members.remove("a");
  members.remove("a");
  expect(reports).toEqual(["a1 b2", "a1 b2 c3", "a1 b2 c4", "b2 c4"]);
});

test("who is held stays through shorter lists until the time is over", async () => {
  const { members, reports } = watched();
  members.replace([node("a", 1), node("b", 2), node("c", 3)]);
  members.hold(50);
  members.replace([node("a", 1)]);
  members.replace([node("a", 1), node("b", 2)]);
  expect(reports).toEqual(["a1 b2 c3"]);
  await until(() => reports.length > 1, 2000);
  expect(reports).toEqual(["a1 b2 c3", "a1 b2"]);
});

test("who is held stays through a second outage that begins before the time is over", async () => {
  const { members, reports } = watched();
  members.replace([node("a", 1), node("b", 2), node("c", 3)]);
  members.hold(20);
  members.replace([node("a", 1), node("b", 2)]);
  members.freeze();
  await Bun.sleep(60);
  members.hold(20);
  members.replace([node("a", 1)]);
  expect(reports).toEqual(["a1 b2 c3"]);
  await until(() => reports.length > 1, 2000);
  expect(reports).toEqual(["a1 b2 c3", "a1"]);
});

test("who is held goes at once when it says that it leaves, or when its number has another owner", () => {
  const { members, reports } = watched();
  members.replace([node("a", 1), node("b", 2), node("c", 3)]);
  members.hold(60_000);
  members.replace([node("a", 1)]);
  members.remove("b");
  members.add(node("d", 3));
  expect(reports).toEqual(["a1 b2 c3", "a1 c3", "a1 d3"]);
  members.stop();
});

test("loads of known nodes are reported, those of others are not", () => {
  const { members, reports } = watched();
  const lists: NodeRecord[][] = [];
  const loaded = new Members((list) => lists.push(list));
  const load = { clients: 1, channels: 0, readMessages: 0, sentMessages: 0, publishes: 0 };
  loaded.replace([node("a", 1)]);
  loaded.setLoads([
    ["a", load],
    ["b", load],
  ]);
  loaded.setLoads([["a", { ...load }]]);
  expect(lists).toEqual([[node("a", 1)], [{ ...node("a", 1), load }]]);
  members.setLoads([["a", load]]);
  expect(reports).toEqual([]);
});

test("nothing is reported once this node has left", async () => {
  const { members, reports } = watched();
  members.replace([node("a", 1), node("b", 2)]);
  members.hold(1);
  members.stop();
  members.replace([]);
  await Bun.sleep(20);
  expect(reports).toEqual(["a1 b2"]);
});
