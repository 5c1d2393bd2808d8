import assert from "node:assert/strict";
import fc from "fast-check";
import {
  counterFile,
  FILE_BYTES_MAX,
  parseCounters,
  readCounters,
} from "@/egress/counters.ts";

const NOW = 1_800_000_000_000;
const COUNTS = {
  accepted: { packets: 3, bytes: 180 },
  dropped: { packets: 1, bytes: 60 },
};

function text(change: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ written_at: NOW / 1_000, ...COUNTS, ...change });
}

Deno.test("parseCounters() reads what the guard writes", () => {
  assert.deepEqual(parseCounters(text(), NOW), COUNTS);
  assert.deepEqual(parseCounters(text(), NOW + 30_000), COUNTS);
});

Deno.test("parseCounters() refuses what is old, of tomorrow, or malformed", () => {
  const bad = [
    [text(), NOW + 30_001],
    [text(), NOW - 30_001],
    ["", NOW],
    ["null", NOW],
    ["[]", NOW],
    [text({ accepted: null }), NOW],
    [text({ accepted: { packets: 1 } }), NOW],
    [text({ dropped: { packets: "1", bytes: 1 } }), NOW],
    [text({ dropped: { packets: 1.5, bytes: 1 } }), NOW],
    [text({ dropped: { packets: -1, bytes: 1 } }), NOW],
    [text({ dropped: { packets: 1e300, bytes: 1 } }), NOW],
    [text({ written_at: "now" }), NOW],
    [text({ padding: "x".repeat(FILE_BYTES_MAX) }), NOW],
  ] as const;
  for (const [content, now] of bad) {
    assert.equal(parseCounters(content, now), null, content.slice(0, 80));
  }
});

Deno.test("parseCounters() takes any text for counts or for nothing", () => {
  fc.assert(fc.property(
    fc.oneof(
      fc.string(),
      fc.json(),
      fc.jsonValue().map((one) => text({ accepted: one })),
    ),
    (content) => {
      const counts = parseCounters(content, NOW);
      assert.ok(
        counts === null || Number.isSafeInteger(counts.dropped.packets),
      );
    },
  ));
});

Deno.test("readCounters() opens a regular file of few bytes only", async () => {
  const reads: string[] = [];
  const files = (isFile: boolean, size: number) => ({
    stat: () => Promise.resolve({ isFile, size }),
    readTextFile: (path: string) => {
      reads.push(path);
      return Promise.resolve(text());
    },
  });
  assert.deepEqual(await readCounters("s", NOW, files(true, 100)), COUNTS);
  assert.deepEqual(reads, [counterFile("s")]);
  assert.equal(await readCounters("s", NOW, files(false, 0)), null);
  assert.equal(
    await readCounters("s", NOW, files(true, FILE_BYTES_MAX + 1)),
    null,
  );
  assert.equal(reads.length, 1);
});

Deno.test("readCounters() reads nothing where there is no guard", async () => {
  assert.equal(await readCounters("tests/unit/egress/none", NOW), null);
});
