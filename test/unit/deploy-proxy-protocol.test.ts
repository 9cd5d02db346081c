import { expect, test } from "bun:test";
import { readProxyHeader } from "../../src/server/proxy-protocol.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const v2 = (rest: string) => Buffer.from(SIGNATURE + rest.replaceAll(" ", ""), "hex");

const HEADERS: [string, Buffer, { address: string; port: number } | undefined][] = [
  ["v1, IPv4", Buffer.from("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"), { address: "192.0.2.1", port: 56324 }],
  ["v1, IPv6", Buffer.from("PROXY TCP6 2001:db8::1 ::1 65535 443\r\n"), { address: "2001:db8::1", port: 65535 }],
  ["v1, unknown", Buffer.from("PROXY UNKNOWN\r\n"), undefined],
  ["v1, unknown with addresses", Buffer.from("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), undefined],
  ["v2, IPv4", v2("21 11 000c c0000201 c0000202 dc04 01bb"), { address: "192.0.2.1", port: 56324 }],
  [
    "v2, IPv6 with a TLV",
    v2("21 21 0028 20010db8000000000000000000000001 00000000000000000000000000000001 0001 01bb 04 0001 00"),
    { address: "2001:db8::1", port: 1 },
  ],
  ["v2, local", v2("20 00 0000"), undefined],
  ["v2, a Unix socket", v2("21 31 0002 0000"), undefined],
];

test.each(HEADERS)("%s", (_, header, source) => {
  const bytes = Buffer.concat([header, Buffer.from("hello")]);
  expect(readProxyHeader(bytes)).toEqual({ length: header.length, source });
  for (let cut = 0; cut < header.length; cut++) expect(readProxyHeader(bytes.subarray(0, cut))).toBe("incomplete");
});

test("what is no header is the client's", () => {
  for (const text of ["hello", "PROXIMITY", "GET / HTTP/1.1\r\n", "\r\n\r\nx", "\0"]) {
    expect(readProxyHeader(Buffer.from(text))).toBe("absent");
  }
});

test("a broken header is refused", () => {
  const v1 = [
    "PROXY TCP4 192.0.2.1 192.0.2.2 99999 443\r\n",
    "PROXY TCP4 example.org 192.0.2.2 1 443\r\n",
    "PROXY TCP6 192.0.2.1 192.0.2.2 1 443\r\n",
    "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
    "PROXY\t \r\n".replace("\t", " "),
    `PROXY TCP4 ${"1".repeat(200)}`,
  ];
  for (const text of v1) expect(readProxyHeader(Buffer.from(text))).toBe("malformed");
  expect(readProxyHeader(v2("11 11 000c c0000201 c0000202 dc04 01bb"))).toBe("malformed");
  expect(readProxyHeader(v2("22 11 000c c0000201 c0000202 dc04 01bb"))).toBe("malformed");
  expect(readProxyHeader(v2("21 11 0004 c0000201"))).toBe("malformed");
  expect(readProxyHeader(v2("21 11 ffff"))).toBe("malformed");
});
