/**
 * gobuster's reader against anything: it throws nothing, stays small, and its report is always
 * sound.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Exit } from "@/spawn/exit.ts";
import {
  captured,
  DIR,
  DNS,
  readCaptured,
  readerOf,
  VHOST,
  WELL,
} from "./gobuster_fixture.ts";

const MARK = "\r\x1b[2K";

const PIECES = [
  MARK,
  "\n",
  "\r",
  "Found: ",
  "a.lab.internal",
  " Status: 200",
  " [Size: 1]",
  " (Status: 301)",
  " [--> ",
  "]",
  "/admin",
  "[10.0.0.1,",
  "Progress: 1 / 2 (50.00%)",
  "Progress: 9 / 0 (",
  "[ERROR] 2026/01/01 00:00:00 [!] ",
  "Error: ",
  "connection refused",
  "[-] Unable to validate base domain: ",
  "=> 200 (Length: 5)",
  "matches the provided options for non existing urls",
  "\u202e\u200b\ud800",
  "9".repeat(40),
  '"\\"',
];

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(fc.oneof(fc.constantFrom(...PIECES), fc.string()), {
    maxLength: 20,
  }).map((pieces) => new TextEncoder().encode(pieces.join(""))),
);

const exit: fc.Arbitrary<Exit> = fc.oneof(
  fc.constantFrom(
    "timed_out" as const,
    "cancelled" as const,
    "output_limit" as const,
    "settled" as const,
  ).map((kind) => ({ kind })),
  fc.record({
    kind: fc.constant("exited" as const),
    code: fc.nat(255),
    signal: fc.constantFrom(null, "SIGKILL"),
  }),
);

Deno.test("gobusterReader() throws nothing and reports soundly, whatever arrives", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(DIR, VHOST, DNS),
      fc.array(fc.tuple(fc.boolean(), bytes), { maxLength: 8 }),
      exit,
      (input, chunks, end) => {
        const reader = readerOf(input);
        for (const [out, chunk] of chunks) {
          if (out) reader.stdout(chunk);
          else reader.stderr(chunk);
          const { percent } = reader.progress();
          assert.ok(percent === null || (percent >= 0 && percent <= 100));
        }
        reader.passEnded(end);
        const { report, failure, notes } = reader.finish();
        const text = JSON.stringify([report, failure, notes]);
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(text, /[\x00-\x1f\x7f\u202e\u200b]/);
        assert.ok(
          report.partial || (end.kind === "exited" && end.code === 0),
        );
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("gobusterReader() reads the same however the bytes are cut", () => {
  const whole = captured("dir.stdout");
  const expected = readCaptured(DIR, "dir").report;
  fc.assert(fc.property(fc.array(fc.nat(whole.length)), (cuts) => {
    const reader = readerOf(DIR);
    let from = 0;
    for (const to of [...cuts, whole.length].sort((a, b) => a - b)) {
      reader.stdout(whole.subarray(from, to));
      from = to;
    }
    reader.passEnded(WELL);
    assert.deepEqual(reader.finish().report, expected);
  }));
});

Deno.test("gobusterReader() stays small under 50 MB without a line end", () => {
  const chunk = new Uint8Array(65_536).fill(0x41);
  const before = Deno.memoryUsage().rss;
  const reader = readerOf(DIR);
  for (let sent = 0; sent < 50_000_000; sent += chunk.length) {
    reader.stdout(chunk);
    reader.stderr(chunk);
  }
  const grown = Deno.memoryUsage().rss - before;
  assert.ok(grown < 32 * 1_048_576, `${grown} bytes more`);
  reader.passEnded(WELL);
  assert.deepEqual(reader.finish().notes.length, 1);
});

Deno.test("gobusterReader() is quick with lines made to be slow", () => {
  const began = performance.now();
  const encoder = new TextEncoder();
  const slow = [
    `${MARK}/${" ".repeat(16_000)}\n`,
    `${MARK}/${" (Status: 200) [Size:".repeat(700)}\n`,
    `${MARK}/a (Status: 200) [Size: 1] [--> ${"] [--> ".repeat(2_000)}\n`,
    `${MARK}Found: ${"a".repeat(16_000)}\n`,
  ];
  for (const input of [DIR, VHOST, DNS]) {
    const reader = readerOf(input);
    for (let times = 0; times < 20; times++) {
      for (const line of slow) reader.stdout(encoder.encode(line));
      reader.stderr(encoder.encode(`[ERROR] ${'"\\'.repeat(4_000)}\r`));
      reader.stderr(
        encoder.encode(`[ERROR] 1/1/1 1:1:1 [!] ${'"\\'.repeat(4_000)}\r`),
      );
      reader.stderr(encoder.encode(`Error: ${'"'.repeat(8_000)}\r`));
    }
    reader.passEnded(WELL);
    reader.finish();
  }
  assert.ok(performance.now() - began < 5_000);
});
