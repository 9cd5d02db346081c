/** The API's methods as the try-it form offers them: fields with sample values, and the frame they make in each dialect. */
export interface Field {
  name: string;
  label: string;
  value: string;
}

export interface Method {
  name: string;
  fields: Field[];
  long(values: Record<string, string>): unknown;
  short(values: Record<string, string>): unknown;
}

const type: Field = { name: "type", label: "type (text or binary)", value: "text" };
/** The default is not sent. */
const typeIn = (values: Record<string, string>, key: "type" | "t") =>
  values.type === "text" ? {} : { [key]: values.type };

const client: Field = { name: "client_id", label: "client_id", value: "" };
const list = (text = "") =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** What was typed, as JSON when it is JSON, else as the text itself. */
function value(text = ""): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** One of the functions on a connection, which are all called in the same way. */
function call(func: string, fields: Field[], args: (values: Record<string, string>) => unknown[]): Method {
  return {
    name: `conn.call ${func}`,
    fields: [client, ...fields],
    long: (values) => ({ method: "conn.call", params: [{ client_id: values.client_id, func, args: args(values) }] }),
    short: (values) => ({ m: "conn.call", p: { c: values.client_id, f: func, a: args(values) } }),
  };
}

const channels: Field = { name: "channels", label: "channels, separated by commas", value: "channel1" };

export const METHODS: Method[] = [
  {
    name: "queue.consume",
    fields: [{ name: "topics", label: "topics, separated by commas", value: "foo" }],
    long: (values) => ({ method: "queue.consume", params: list(values.topics) }),
    short: (values) => ({ m: "queue.pop", p: { t: list(values.topics) } }),
  },
  {
    name: "queue.unconsume",
    fields: [],
    long: () => ({ method: "queue.unconsume", params: [] }),
    short: () => ({ m: "queue.unpop", p: {} }),
  },
  {
    name: "mesh.send",
    fields: [client, { name: "data", label: "data", value: "hello, world!" }, type],
    long: (values) => ({
      method: "mesh.send",
      params: [{ client_id: values.client_id, data: values.data, ...typeIn(values, "type") }],
    }),
    short: (values) => ({ m: "mesh.send", p: { c: values.client_id, d: values.data, ...typeIn(values, "t") } }),
  },
  {
    name: "mesh.publish",
    fields: [
      { name: "channel", label: "channel", value: "channel1" },
      { name: "data", label: "data", value: "hello, channel!" },
      type,
    ],
    long: (values) => ({
      method: "mesh.publish",
      params: [{ channel: values.channel, data: values.data, ...typeIn(values, "type") }],
    }),
    short: (values) => ({ m: "mesh.publish", p: { c: values.channel, d: values.data, ...typeIn(values, "t") } }),
  },
  call("subscribe", [channels], (values) => list(values.channels)),
  call("unsubscribe", [channels], (values) => list(values.channels)),
  call(
    "set_context_value",
    [
      { name: "key", label: "key", value: "user_id" },
      { name: "value", label: "value (JSON or text)", value: "10000" },
    ],
    (values) => [values.key, value(values.value)],
  ),
  call("set_context", [{ name: "values", label: "values (a JSON object)", value: '{"name":"Ann"}' }], (values) => [
    value(values.values),
  ]),
  call("context", [], () => []),
  call("channels", [], () => []),
  call("close", [{ name: "reason", label: "reason", value: "bye" }], (values) => [1000, values.reason]),
  {
    name: "server.ping",
    fields: [],
    long: () => ({ method: "server.ping", params: [] }),
    short: () => ({ m: "server.ping", p: {} }),
  },
];
