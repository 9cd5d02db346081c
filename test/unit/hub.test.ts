import { beforeEach, describe, expect, test } from "bun:test";
import { Connection, type Failure, type Payload } from "../../src/hub/connection.ts";
import { type Fanout, Hub } from "../../src/hub/hub.ts";

class TestFanout implements Fanout {
  readonly calls: string[] = [];
  fail = 0;
  onPublish: () => void = () => {};

  subscribe(connection: Connection, channel: string): void {
    this.calls.push(`+${connection.id} ${channel}`);
  }

  unsubscribe(connection: Connection, channel: string): void {
    this.calls.push(`-${connection.id} ${channel}`);
  }

  publish(channel: string, data: Payload): number {
    this.calls.push(`${channel}: ${data}`);
    this.onPublish();
    return this.fail;
  }
}

class TestConnection extends Connection {
  constructor(id: number, fanout: Fanout) {
    super(id, "127.0.0.1", fanout, 0);
  }
  write = (): Failure => undefined;
  send = (data: Payload): Failure => (data === "bad" ? "refused" : undefined);
  close(): void {}
  waitingBytes = () => 0;
}

let hub: Hub;
let web: TestFanout;
let tcp: TestFanout;
let interest: string[];

beforeEach(() => {
  hub = new Hub();
  web = new TestFanout();
  tcp = new TestFanout();
  interest = [];
  hub.onInterest = (channel, interested) => interest.push(`${interested ? "+" : "-"}${channel}`);
});

function connect(id: number, fanout: Fanout, ...channels: string[]): Connection {
  const connection = new TestConnection(id, fanout);
  hub.add(connection);
  for (const channel of channels) expect(hub.subscribe(connection, channel)).toBeUndefined();
  return connection;
}

describe("the hub", () => {
  test("finds its connections until they are removed", () => {
    const connection = connect(1, web);
    expect(hub.get(1)).toBe(connection);
    expect([...hub.connections()]).toEqual([connection]);
    hub.remove(connection);
    hub.remove(connection);
    expect(hub.get(1)).toBeUndefined();
    expect(hub.connectionCount).toBe(0);
  });

  test("sends to a connection, or says why not", () => {
    connect(1, web);
    expect(hub.send(1, "x")).toBeUndefined();
    expect(hub.send(1, "bad")).toBe("refused");
    expect(hub.send(2, "x")).toBe("no client 2: it has disconnected or never was");
  });

  test("publishes once to each server with subscribers, whatever their number", () => {
    connect(1, web, "a");
    connect(2, web, "a");
    connect(3, tcp, "a", "b");
    tcp.fail = 1;
    expect(hub.publish("a", "x")).toEqual({ total: 3, fail: 1 });
    expect(web.calls.filter((call) => call === "a: x")).toHaveLength(1);
    expect(hub.publish("b", "y")).toEqual({ total: 1, fail: 1 });
    expect(web.calls).not.toContain("b: y");
    expect(hub.publish("nobody", "z")).toEqual({ total: 0, fail: 0 });
  });

  test("counts those that were subscribed when the publish began", () => {
    const connection = connect(1, web, "a");
    connect(2, web, "a");
    web.onPublish = () => hub.remove(connection);
    expect(hub.publish("a", "x")).toEqual({ total: 2, fail: 0 });
    expect(hub.subscribers("a")).toBe(1);
  });

  test("tells interest at the first subscriber and at the last", () => {
    const one = connect(1, web, "a");
    const two = connect(2, tcp, "a");
    hub.unsubscribe(one, "a");
    expect(interest).toEqual(["+a"]);
    hub.unsubscribe(two, "a");
    expect(interest).toEqual(["+a", "-a"]);
    expect(hub.channelCount).toBe(0);
    expect(tcp.calls).toEqual(["+2 a", "-2 a"]);
  });

  test("subscribing twice counts once, unsubscribing without being in is nothing", () => {
    const connection = connect(1, web, "a", "a");
    hub.unsubscribe(connection, "other");
    expect(hub.subscribers("a")).toBe(1);
    hub.unsubscribe(connection, "a");
    hub.unsubscribe(connection, "a");
    expect(web.calls).toEqual(["+1 a", "-1 a"]);
  });

  test("a connection that leaves takes all its subscriptions along", () => {
    const connection = connect(1, web, "a", "b");
    connect(2, web, "b");
    expect([...hub.channels()]).toEqual(["a", "b"]);
    hub.remove(connection);
    expect(interest).toEqual(["+a", "+b", "-a"]);
    expect([...hub.channels()]).toEqual(["b"]);
    expect(hub.subscribe(connection, "a")).toBe("connection 1 is closed");
  });

  test("refuses channel names that are empty or too long", () => {
    const connection = connect(1, web);
    expect(hub.subscribe(connection, "")).toContain("has 1 to 1024 characters, this one has 0");
    expect(hub.subscribe(connection, "x".repeat(1025))).toContain("this one has 1025");
    expect(hub.subscribe(connection, "x".repeat(1024))).toBeUndefined();
  });
});
