import { describe, expect, test } from "bun:test";
import { Scripted } from "../support/scripted.ts";

const text = new Scripted(
  `
  local text = require("protocols.text")
  protocol_input, protocol_decode, protocol_encode = text.input, text.decode, text.encode
  function on_message(line, conn)
    local err = conn:send("<" .. line .. ">")
    if err then conn:send("not sent") end
    if line == "two" then conn:send("a\\nb") end
    if line == "number" then conn:send(42) end
  end
`,
  { protocol: "socket" },
);

describe("protocols.text", () => {
  test.each([1, 2, 3, 5, 100])("lines in chunks of %d bytes", (size) => {
    const client = text.connect();
    client.feed("one\nthree\r\n\n\r\n你好\nrest", size);
    expect(client.taken().toString()).toBe("<one>\n<three>\n<>\n<>\n<你好>\n");
    client.feed("...\n", size);
    expect(client.taken().toString()).toBe("<rest...>\n");
  });

  test("a line that would arrive as two is not sent", () => {
    const client = text.connect();
    client.feed("two\n");
    expect(client.taken().toString()).toBe("<two>\n");
    client.feed("number\n");
    expect(client.taken().toString()).toBe("<number>\n42\n");
    expect(text.complaints).toEqual([]);
  });

  test("mesh.send goes through encode", () => {
    const client = text.connect();
    expect(client.send("hello")).toBeUndefined();
    expect(client.taken().toString()).toBe("hello\n");
    expect(client.send("a\nb")).toContain("protocol_encode");
  });
});
