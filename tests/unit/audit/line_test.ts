/**
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { canonicalJson, canonicalMembers } from "@/audit/canonical.ts";
import { Digest, NO_HASH } from "@/audit/digest.ts";
import { parseHead, writeHead } from "@/audit/head.ts";
import { isSealed, parseLine, writeLine } from "@/audit/line.ts";
import { fileName, fileNumber } from "@/audit/file_name.ts";
import type { Plain } from "@/log/redact.ts";
import { digests, KEY } from "./samples.ts";

const DIGESTS = digests();

const PLAIN = fc.jsonValue({ noUnicodeString: false, maxDepth: 4 })
  .map((value) => value as Plain);

Deno.test("canonicalJson() writes what JSON reads back, the same for any order", () => {
  fc.assert(
    fc.property(PLAIN, (value) => {
      const text = canonicalJson(value);
      assert.match(text, /^[\x20-\x7e]*$/);
      assert.equal(canonicalJson(JSON.parse(text)), text);
      // -0 is written as 0.
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
    }),
    { numRuns: 500 },
  );
  assert.equal(
    canonicalJson({ b: [true, null, 1.5], a: "\u00e9\n\u007f" }),
    '{"a":"\\u00e9\\n\\u007f","b":[true,null,1.5]}',
  );
  assert.equal(canonicalMembers({}), "");
});

Deno.test("parseLine() reads what writeLine() wrote", async () => {
  const { keyed, keyless } = await DIGESTS;
  const fields = fc.dictionary(
    fc.string().filter((name) =>
      !["seq", "time", "prev", "kind", "seal"].includes(name)
    ),
    PLAIN,
  );
  fc.assert(
    fc.property(fc.integer({ min: 1 }), fields, (seq, given) => {
      const time = "2026-01-01T00:00:00.000Z";
      const members = canonicalMembers(given);
      const text = writeLine({
        seq,
        time,
        prev: NO_HASH,
        kind: "request",
        members,
      }, keyed);
      const line = parseLine(new TextEncoder().encode(text));
      assert.equal(line?.seq, seq);
      assert.equal(line?.text, text);
      assert.equal(line === null ? null : isSealed(line, keyed), true);
      assert.equal(line === null ? null : isSealed(line, keyless), false);
    }),
  );
});

Deno.test("a line and its seal are these bytes", async () => {
  const digest = await Digest.load(KEY);
  const line = writeLine({
    seq: 1,
    time: "2026-01-01T00:00:00.000Z",
    prev: NO_HASH,
    kind: "log_opened",
    members: '"version":1',
  }, digest);
  assert.equal(
    line,
    '{"seq":1,"time":"2026-01-01T00:00:00.000Z","prev":"' + "0".repeat(64) +
      '","kind":"log_opened","version":1,"seal":"' +
      "f123dcddd727055e869126150d41ed9d1b2434edfdce86363c34e758125eede6" + '"}',
  );
  assert.equal(
    digest.hash("abc"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
  assert.equal(digest.keyId, "bdaed0b65b9b00cc");
});

Deno.test("parseLine() refuses what no writer of ours wrote", async () => {
  const { keyed } = await DIGESTS;
  const good = writeLine({
    seq: 7,
    time: "2026-01-01T00:00:00.000Z",
    prev: NO_HASH,
    kind: "request",
    members: '"a":1,"b":"\\u00e9"',
  }, keyed);
  assert.ok(parseLine(new TextEncoder().encode(good)) !== null);
  const bad = [
    "",
    "null",
    "[]",
    "{}",
    good.slice(1),
    `${good} `,
    good.replace('"a":1', '"a": 1'),
    good.replace('"a":1', '"a":1,"a":1'),
    good.replace('"a":1,"b":"\\u00e9"', '"b":"\\u00e9","a":1'),
    good.replace("\\u00e9", "\u00e9"),
    good.replace("\\u00e9", "\\u00E9"),
    good.replace('"seq":7', '"seq":7.5'),
    good.replace('"seq":7', '"seq":0'),
    good.replace('"seq":7', '"seq":"7"'),
    good.replace('"seq":7', '"seq":9007199254740993'),
    good.replace("2026-01-01T", "2026-01-01 "),
    good.replace("request", "Request"),
    good.replace(NO_HASH, NO_HASH.slice(1)),
    `{"x":"${"y".repeat(70_000)}"}`,
  ];
  for (const text of bad) {
    assert.equal(
      parseLine(new TextEncoder().encode(text)),
      null,
      text.slice(0, 80),
    );
  }
});

Deno.test("writeLine() refuses a line that no reader takes", async () => {
  const { keyed } = await DIGESTS;
  assert.throws(() =>
    writeLine({
      seq: 1,
      time: "2026-01-01T00:00:00.000Z",
      prev: NO_HASH,
      kind: "request",
      members: `"x":"${"y".repeat(70_000)}"`,
    }, keyed), /Cannot write a line of/);
});

Deno.test("parseHead() reads what writeHead() wrote and says when its seal does not fit", async () => {
  const { keyed, keyless } = await DIGESTS;
  const head = {
    seq: 3,
    hash: "ab".repeat(32),
    file: 1,
    bytes: 900,
    checkpointSeq: 2,
    time: "2026-01-01T00:00:00.000Z",
    keyId: keyed.keyId,
  };
  const text = writeHead(head, keyed);
  assert.deepEqual(parseHead(text, keyed), { ...head, sealed: true });
  assert.deepEqual(parseHead(text, keyless), { ...head, sealed: true });
  const forged = text.replace('"seq":3', '"seq":2');
  assert.equal(parseHead(forged, keyed)?.sealed, false);
  for (
    const bad of [
      "",
      "{}",
      text.trim(),
      text + text,
      text.replace('"seq":3', '"seq": 3'),
      text.replace('"seq":3', '"seq":-3'),
    ]
  ) {
    assert.equal(parseHead(bad, keyed), null, bad);
  }
});

Deno.test("fileNumber() knows the log's files and no others", () => {
  assert.equal(fileName(7), "audit-000007.jsonl");
  assert.equal(fileName(1_234_567), "audit-1234567.jsonl");
  for (const number of [1, 999_999, 1_000_000]) {
    assert.equal(fileNumber(fileName(number)), number);
  }
  const others = [
    "audit-7.jsonl",
    "audit-0000007.jsonl",
    "audit-000000.jsonl",
    "audit-000007.jsonl.new",
    "head.json",
    "../audit-000007.jsonl",
    "torn-000001-0-abcdef01.bin",
  ];
  for (const name of others) assert.equal(fileNumber(name), null, name);
});
