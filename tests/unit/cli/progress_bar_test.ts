/**
 * The bar on a terminal's last line.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { duration, progressLine } from "@/cli/progress_bar.ts";
import { verifies } from "../../requirements.ts";

Deno.test("progressLine() shows share, time left, findings and phase", () => {
  verifies("cli.scan.table_and_bar");
  assert.equal(
    progressLine(
      { percent: 50, remainingSeconds: 125, found: 3, phase: "SYN scan" },
      90,
    ),
    "[###############---------------]  50 %  2 min 05 s left  3 found  SYN scan",
  );
  assert.equal(
    progressLine(
      { percent: null, remainingSeconds: null, found: 0, phase: "starting" },
      90,
    ),
    "[------------------------------]  time left unknown  0 found  starting",
  );
});

Deno.test("progressLine() fits the terminal whatever a tool says", () => {
  const number = fc.oneof(fc.double(), fc.constant(null));
  const progress = fc.record({
    percent: number,
    remainingSeconds: number,
    found: fc.nat(),
    phase: fc.string(),
  });
  fc.assert(
    fc.property(progress, fc.integer({ min: 1, max: 300 }), (p, columns) => {
      assert.ok(progressLine(p, columns).length <= Math.max(20, columns - 1));
    }),
  );
});

Deno.test("duration() speaks of seconds, minutes and hours", () => {
  const cases: readonly (readonly [number, string])[] = [
    [-5, "0 s"],
    [0, "0 s"],
    [59.4, "59 s"],
    [59.5, "1 min 00 s"],
    [3_599, "59 min 59 s"],
    [3_600, "1 h 00 min"],
    [90_000, "25 h 00 min"],
  ];
  for (const [seconds, text] of cases) assert.equal(duration(seconds), text);
});
