import assert from "node:assert/strict";
import fc from "fast-check";
import { LoopLag } from "@/metrics/loop_lag.ts";
import { Statistics } from "@/metrics/statistics.ts";
import { FakeTime } from "../health/fake_time.ts";
import { verifies } from "../../requirements.ts";

verifies("metrics.statistics");

const verdict = fc.constantFrom(
  "success",
  "failure",
  "timeout",
  "neither" as const,
);
const seconds = fc.option(
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  { nil: undefined },
);

/** The smallest duration that at least so many percent do not exceed: by counting, not by rank. */
function oraclePercentile(values: number[], percent: number): number | null {
  const enough = values.filter((value) =>
    values.filter((other) => other <= value).length * 100 >=
      percent * values.length
  );
  return enough.length === 0 ? null : Math.min(...enough);
}

Deno.test("Statistics.read() agrees with an oracle", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(verdict, seconds), { maxLength: 80 }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 30 }),
      (records, durationWindow, outcomeWindow) => {
        const statistics = new Statistics({ durationWindow, outcomeWindow });
        for (const [verdict, seconds] of records) {
          statistics.record(verdict, seconds);
        }
        const timed = records.flatMap(([, one]) =>
          one === undefined ? [] : one
        );
        const window = timed.slice(-durationWindow);
        const outcomes = records.map(([one]) => one)
          .filter((one) => one !== "neither").slice(-outcomeWindow);
        const bad = (one: string) => one === "failure" || one === "timeout";
        const read = statistics.read();
        const { mean } = read;
        const sum = timed.reduce((a, b) => a + b, 0);
        assert.ok(
          timed.length === 0
            ? mean === null
            : Math.abs((mean ?? NaN) - sum / timed.length) <= 1e-6 * (1 + sum),
        );
        const count = (one: string) =>
          records.filter(([verdict]) => verdict === one).length;
        assert.deepEqual({ ...read, mean: null }, {
          count: records.length,
          success: count("success"),
          failure: count("failure") + count("timeout"),
          timeout: count("timeout"),
          min: timed.length === 0 ? null : Math.min(...timed),
          max: timed.length === 0 ? null : Math.max(...timed),
          mean: null,
          p50: oraclePercentile(window, 50),
          p95: oraclePercentile(window, 95),
          p99: oraclePercentile(window, 99),
          recentFailureRate: outcomes.length === 0
            ? null
            : outcomes.filter(bad).length / outcomes.length,
        });
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("Statistics forgets old trouble in the recent rate and keeps it in the counts", () => {
  const statistics = new Statistics();
  for (let turn = 0; turn < 100; turn += 1) statistics.record("failure", 9);
  assert.equal(statistics.read().recentFailureRate, 1);
  for (let turn = 0; turn < 1000; turn += 1) statistics.record("success", 1);
  const { recentFailureRate, failure, p99, max } = statistics.read();
  assert.deepEqual({ recentFailureRate, failure, p99, max }, {
    recentFailureRate: 0,
    failure: 100,
    p99: 1,
    max: 9,
  });
});

Deno.test("LoopLag tells the worst lateness of the last half minute", async () => {
  const time = new FakeTime();
  using lag = new LoopLag(time);
  await time.pass(5_000);
  assert.equal(lag.worstMs, 0);
  time.hold(1_800);
  await time.pass(500);
  assert.equal(lag.worstMs, 1_300, "500 ms of the 1,800 were meant to pass");
  await time.pass(31_000);
  assert.equal(lag.worstMs, 0);
});

Deno.test("LoopLag leaves no timer behind", async () => {
  const time = new FakeTime();
  const lag = new LoopLag(time);
  await time.pass(2_000);
  assert.equal(time.timers, 1);
  lag[Symbol.dispose]();
  assert.equal(time.timers, 0);
});
