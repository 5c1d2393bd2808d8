/**
 * The harness measures in pairs and judges by the goal.
 *
 * @module
 */
import assert from "node:assert/strict";
import { verifies } from "../requirements.ts";
import { median, pair, single, table } from "./harness.ts";

Deno.test("pair() alternates the order and takes medians of what is counted", async () => {
  verifies("bench.harness");
  const order: string[] = [];
  const figures = (name: string, values: number[]) => (round: number) => {
    order.push(`${name}${round}`);
    return values[round] ?? assert.fail();
  };
  const result = await pair({
    name: "a",
    unit: "ms",
    rounds: 3,
    warmups: 1,
    goal: { atMost: 1.5 },
    subject: figures("s", [1_000, 3, 4, 5]),
    baseline: figures("b", [1_000, 2, 2, 9]),
  });
  assert.equal(order.join(" "), "b0 s0 s1 b1 b2 s2 s3 b3");
  assert.deepEqual(result, {
    name: "a",
    unit: "ms",
    subject: 4,
    baseline: 2,
    ratio: 2,
    goal: { atMost: 1.5 },
    met: false,
    rounds: 3,
    note: "",
  });
});

Deno.test("median() takes the middle and refuses nothing", () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
  assert.throws(() => median([]), RangeError);
});

Deno.test("table() shows figures, ratio and whether the goal is met", () => {
  const line = single({
    name: "rate",
    unit: "/s",
    subject: 25_000,
    goal: { atLeast: 20_000 },
    rounds: 3,
  });
  const text = table([line, {
    ...line,
    name: "slow",
    subject: 3,
    baseline: 2,
    ratio: 1.5,
    goal: { atMost: 1.2 },
    met: false,
  }]);
  const [, rate, slow] = text.split("\n");
  assert.match(rate ?? "", /^rate +25000 \/s +>= 20000 +met +3$/);
  assert.match(
    slow ?? "",
    /^slow +3\.00 \/s +2\.00 \/s +1\.50x +<= 1\.2 +MISSED +3$/,
  );
});
