import assert from "node:assert/strict";
import { addSkipped, linesOf, outputData } from "@/events/output.ts";
import type { OutputLine } from "@/isolate/protocol.ts";
import { verifies } from "../../requirements.ts";

function lineOf(text: string): OutputLine {
  return { stream: "stdout", text };
}

Deno.test("outputData() cleans what an isolate did not", () => {
  verifies("events.output.bounded");
  const texts = [
    "plain",
    "\u001b[2K/admin",
    "a\u202eb\nc\u0000",
    "x".repeat(2_000),
  ];
  assert.deepEqual(outputData({ lines: texts.map(lineOf), skipped: 3 }), {
    untrusted: {
      lines: ["plain", "/admin", "ab c", `${"x".repeat(999)}…`].map(lineOf),
    },
    skipped: 3,
  });
});

Deno.test("outputData() keeps the newest lines that fit an event, and counts the others", () => {
  verifies("events.output.bounded");
  for (
    const text of ["x".repeat(900), '"\\'.repeat(400), "ä".repeat(500), "y"]
  ) {
    const lines = Array.from(
      { length: 5_000 },
      (_, at) => lineOf(`${at}${text}`),
    );
    const data = outputData({ lines, skipped: 5 });
    assert.ok(JSON.stringify(data).length <= 16_384);
    assert.ok(JSON.stringify(data).length > 12_000);
    const { length } = data.untrusted.lines;
    assert.deepEqual(data.untrusted.lines, lines.slice(-length));
    assert.equal(data.skipped, 5 + 5_000 - length);
  }
});

Deno.test("linesOf() and addSkipped() count lines that are lost, whatever the data", () => {
  const data = outputData({ lines: [lineOf("a"), lineOf("b")], skipped: 3 });
  assert.equal(linesOf(data), 5);
  assert.deepEqual(addSkipped(data, 4), { ...data, skipped: 7 });
  assert.equal(linesOf({ omitted: true }), 0);
});
