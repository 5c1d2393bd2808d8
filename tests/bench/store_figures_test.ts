/**
 * The figures of the benchmark of the store are what they say.
 *
 * @module
 */
import assert from "node:assert/strict";
import { percentile, Stillness } from "./store_figures.ts";
import { verifies } from "../requirements.ts";

Deno.test("percentile() gives the figure that the share does not exceed", () => {
  verifies("bench.store_arithmetic");
  const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);
  for (
    const [figures, share, expected] of [
      [hundred, 0.5, 50],
      [hundred, 0.95, 95],
      [hundred, 1, 100],
      // Of twenty figures one may be slower.
      [[...Array(19).fill(1), 9], 0.95, 1],
      [[...Array(18).fill(1), 9, 9], 0.95, 9],
      [[7], 0.5, 7],
    ] as const
  ) assert.equal(percentile(figures, share), expected);
});

Deno.test("percentile() refuses no figures and no share", () => {
  for (const [figures, share] of [[[], 0.5], [[1], 0], [[1], 1.5]] as const) {
    assert.throws(() => percentile(figures, share), RangeError);
  }
});

Deno.test("Stillness keeps the longest time between two looks", () => {
  verifies("bench.store_arithmetic");
  let now = 10;
  using still = new Stillness(() => now);
  for (const at of [11, 12, 53, 54]) {
    now = at;
    still.look();
  }
  // Forty-one passed, of which one was waited for.
  assert.equal(still.longest, 40);
});
