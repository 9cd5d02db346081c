import { expect, test } from "bun:test";
import { installBase64 } from "../../src/lua/mix/base64.ts";
import { installDigest } from "../../src/lua/mix/digest.ts";
import { installUuid } from "../../src/lua/mix/uuid.ts";
import { evaluate, stateWith } from "../support/library.ts";

const L = stateWith(installBase64, installDigest, installUuid);

const call = (source: string) => evaluate(L, `return ${source}`);

// RFC 1321 appendix A.5, FIPS 180 (sha1, sha256), RFC 4231 (hmac_sha256).
test.each([
  [`mix.md5("")`, "d41d8cd98f00b204e9800998ecf8427e"],
  [`mix.md5("abc")`, "900150983cd24fb0d6963f7d28e17f72"],
  [`mix.md5("message digest")`, "f96b697d7cb7938d525a2f31aaf161d0"],
  [`mix.sha1("abc")`, "a9993e364706816aba3e25717850c26c9cd0d89d"],
  [`mix.sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")`, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"],
  [`mix.sha256("abc")`, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [`mix.sha256("")`, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  [
    `mix.hmac_sha256(("\\x0b"):rep(20), "Hi There")`,
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  ],
  [
    `mix.hmac_sha256("Jefe", "what do ya want for nothing?")`,
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  ],
  [
    `mix.hmac_sha256(("\\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")`,
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  ],
])("%s", (source, hex) => {
  expect(call(source)).toEqual([hex]);
  const binary = source.replace(/^mix\.(\w+)\(/, "mix.$1_bin(");
  expect(call(`(${binary}):gsub(".", function(c) return ("%02x"):format(c:byte()) end)`)[0]).toBe(hex);
});

test("bytes are hashed as they are", () => {
  expect(call(`mix.md5("\\xff\\x00")`)).toEqual([
    new Bun.CryptoHasher("md5").update(Buffer.from([255, 0])).digest("hex"),
  ]);
});

// RFC 4648 section 10.
test.each([
  ["", ""],
  ["f", "Zg=="],
  ["fo", "Zm8="],
  ["foo", "Zm9v"],
  ["foob", "Zm9vYg=="],
  ["fooba", "Zm9vYmE="],
  ["foobar", "Zm9vYmFy"],
])("base64 of %j", (plain, encoded) => {
  expect(call(`mix.base64_encode("${plain}")`)).toEqual([encoded]);
  expect(call(`mix.base64_decode("${encoded}")`)).toEqual([plain]);
});

test("base64 carries any bytes, and skips white space", () => {
  expect(call(`mix.base64_encode("\\xfb\\xff\\xfe")`)).toEqual(["+//+"]);
  expect(call(`mix.base64_decode(" +//\\r\\n+ ")`)).toEqual([Buffer.from([0xfb, 0xff, 0xfe])]);
});

test.each([
  ["Zg", 'not base64: 2 characters, expected a multiple of 4 (with "=" as padding)'],
  ["Z", 'not base64: 1 characters, expected a multiple of 4 (with "=" as padding)'],
  ["Zh==", 'not base64: misplaced "=" or stray bits in the last character'],
  ["Z=g=", 'not base64: misplaced "=" or stray bits in the last character'],
  ["Zm9v====", 'not base64: misplaced "=" or stray bits in the last character'],
  ["Zm9*", 'not base64: character "*" at 4'],
  ["-_-_", 'not base64: character "-" at 1 (base64url: replace "-" by "+" and "_" by "/")'],
  ["Zm9\\xff", 'not base64: character "\ufffd" at 4'],
])("%s is not base64", (encoded, message) => {
  expect(call(`mix.base64_decode("${encoded}")`)).toEqual([undefined, message]);
});

test("uuid is random, version 4", () => {
  const [a, b] = call("mix.uuid(), mix.uuid()");
  expect(a).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(a).not.toBe(b);
});

test("a wrong argument is the script's mistake", () => {
  expect(() => call("mix.md5()")).toThrow("bad argument #1 to 'md5' (string expected, got no value)");
  expect(() => call("mix.base64_decode({})")).toThrow("string expected, got table");
});
