import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { ERROR_CODES, type ErrorCode } from "@/error/code.ts";
import { Breaker } from "@/breaker/breaker.ts";
import type { BreakerOptions } from "@/breaker/breaker_options.ts";
import { countsAsFailure } from "@/breaker/failure.ts";
import { FakeTime } from "../health/fake_time.ts";
import { verifies } from "../../requirements.ts";

verifies(
  "breaker.counts_faults_only",
  "breaker.one_probe",
  "breaker.backoff",
  "breaker.forced",
  "breaker.stale_generation",
);

const OPTIONS: BreakerOptions = {
  failureThreshold: 3,
  successThreshold: 2,
  recoveryTimeoutMs: 10_000,
  backoffMultiplier: 2,
  recoveryTimeoutMsMax: 35_000,
  jitter: 0,
};

function make(options: Partial<BreakerOptions> = {}, random = () => 0) {
  const time = new FakeTime();
  const { now, wallNow } = time;
  let changes = 0;
  const world = { now, wallNow, random, onChange: () => changes += 1 };
  const breaker = new Breaker("nmap", { ...OPTIONS, ...options }, world);
  return { breaker, time, world, changes: () => changes };
}

function fail(breaker: Breaker, times: number): void {
  for (let time = 0; time < times; time += 1) breaker.admit().failed();
}

function refusal(act: () => unknown): AppError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "circuit_open");
    return error;
  }
  assert.fail("expected a refusal");
}

Deno.test("Breaker opens after so many failures in a row and says when to retry", () => {
  const { breaker, time } = make();
  fail(breaker, 2);
  assert.equal(breaker.state, "closed");
  fail(breaker, 1);
  assert.equal(breaker.state, "open");
  time.hold(500);
  const error = refusal(() => breaker.admit());
  assert.equal(error.retryAfter, 10);
  assert.equal(
    error.message,
    'Cannot run "nmap": it failed repeatedly and is resting; retry after 10 s or use another tool',
  );
});

Deno.test("Breaker counts failures in a row only: a success begins anew", () => {
  const { breaker } = make();
  fail(breaker, 2);
  breaker.admit().succeeded();
  fail(breaker, 2);
  assert.equal(breaker.state, "closed");
  breaker.admit().ignored();
  fail(breaker, 1);
  assert.equal(breaker.state, "open", "an ignored call is no success");
});

Deno.test("Breaker.check() refuses as admit() would and changes nothing", async () => {
  const { breaker, time, changes } = make();
  breaker.check();
  fail(breaker, 3);
  const before = changes();
  refusal(() => breaker.check());
  await time.pass(10_000);
  breaker.check();
  breaker.check();
  assert.equal(breaker.state, "half_open");
  assert.equal(changes(), before);
  assert.equal(breaker.snapshot().state, "open");
  assert.equal(breaker.statistics.refused, 0);
});

Deno.test("half-open admits one probe at a time and refuses the others", async () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  await time.pass(10_000);
  const probe = breaker.admit();
  const error = refusal(() => breaker.admit());
  assert.equal(error.retryAfter, 10);
  assert.match(error.message, /one trial call is running/);
  refusal(() => breaker.check());
  probe.succeeded();
  assert.equal(breaker.state, "half_open");
  breaker.admit().succeeded();
  assert.equal(breaker.state, "closed");
});

Deno.test("a cancelled probe frees its place and leaves the circuit half-open", async () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  await time.pass(10_000);
  breaker.admit().succeeded();
  breaker.admit().ignored();
  assert.equal(breaker.state, "half_open");
  assert.equal(breaker.snapshot().state, "half_open");
  breaker.admit().succeeded();
  assert.equal(breaker.state, "closed", "the success before still counts");
});

Deno.test("an admission that is disposed of unheard frees the probe's place", async () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  await time.pass(10_000);
  assert.throws(() => {
    using _admission = breaker.admit();
    throw new Error("lost between admission and outcome");
  });
  breaker.admit();
});

Deno.test("an admission hears one outcome", () => {
  const { breaker } = make();
  const admission = breaker.admit();
  for (let time = 0; time < 5; time += 1) admission.failed();
  admission.succeeded();
  admission[Symbol.dispose]();
  const { failures, successes, ignored, consecutiveFailures } =
    breaker.statistics;
  assert.deepEqual({ failures, successes, ignored, consecutiveFailures }, {
    failures: 1,
    successes: 0,
    ignored: 0,
    consecutiveFailures: 1,
  });
});

Deno.test("a result of an earlier generation counts for nothing (late success)", async () => {
  const { breaker, time } = make({ successThreshold: 1 });
  fail(breaker, 3);
  await time.pass(10_000);
  const slow = breaker.admit();
  breaker.forceOpen();
  breaker.forceClose();
  fail(breaker, 3);
  await time.pass(10_000);
  const probe = breaker.admit();
  slow.succeeded();
  assert.equal(breaker.state, "half_open", "the standard library closes here");
  refusal(() => breaker.admit());
  probe.failed();
  assert.equal(breaker.state, "open");
  assert.equal(breaker.statistics.stale, 1);
});

Deno.test("a result of an earlier generation counts for nothing (late failure)", async () => {
  const { breaker, time } = make({ successThreshold: 1 });
  const slow = [breaker.admit(), breaker.admit(), breaker.admit()];
  fail(breaker, 3);
  await time.pass(10_000);
  breaker.admit().succeeded();
  for (const admission of slow) admission.failed();
  assert.equal(breaker.state, "closed");
  assert.equal(breaker.statistics.consecutiveFailures, 0);
});

Deno.test("a failed probe multiplies the time, up to the cap; closing begins anew", async () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  const seen: (number | null)[] = [];
  for (let opening = 0; opening < 4; opening += 1) {
    const { retryAfter } = breaker.statistics;
    seen.push(retryAfter);
    await time.pass((retryAfter ?? 0) * 1000);
    breaker.admit().failed();
  }
  assert.deepEqual(seen, [10, 20, 35, 35]);
  await time.pass(35_000);
  breaker.admit().succeeded();
  breaker.admit().succeeded();
  fail(breaker, 3);
  assert.equal(breaker.statistics.retryAfter, 10);
});

Deno.test("the time grows by the multiplier that is set", async () => {
  for (const [backoffMultiplier, second] of [[1, 10], [3, 30]] as const) {
    const { breaker, time } = make({ backoffMultiplier });
    fail(breaker, 3);
    await time.pass(10_000);
    breaker.admit().failed();
    assert.equal(breaker.statistics.retryAfter, second);
  }
});

Deno.test("jitter takes off at most its part and never adds", () => {
  for (const [random, expected] of [[0, 10], [0.5, 9], [0.999999, 9]]) {
    const { breaker } = make({ jitter: 0.2 }, () => random ?? 0);
    fail(breaker, 3);
    assert.equal(breaker.statistics.retryAfter, expected);
  }
  const { breaker } = make({ jitter: 1 }, () => 0.9999999999);
  fail(breaker, 3);
  assert.equal(breaker.state, "open", "a delay is never 0");
});

Deno.test("forceOpen() refuses whatever the time, and only forceClose() releases", async () => {
  const { breaker, time } = make();
  const slow = breaker.admit();
  breaker.forceOpen();
  await time.pass(1e9);
  slow.succeeded();
  const error = refusal(() => breaker.admit());
  assert.equal(error.retryAfter, undefined);
  assert.match(error.message, /an operator has stopped it/);
  breaker.forceClose();
  breaker.admit().succeeded();
  assert.equal(breaker.state, "closed");
});

Deno.test("forceClose() closes an open circuit and forgets its failures", () => {
  const { breaker } = make();
  fail(breaker, 3);
  breaker.forceClose();
  fail(breaker, 2);
  assert.equal(breaker.state, "closed");
});

Deno.test("reconfigure() keeps the state and shortens a wait beyond the new longest time", async () => {
  const { breaker, time } = make();
  fail(breaker, 2);
  breaker.reconfigure({ ...OPTIONS, failureThreshold: 10 });
  fail(breaker, 7);
  assert.equal(breaker.state, "closed");
  fail(breaker, 1);
  assert.equal(breaker.state, "open");
  breaker.reconfigure({
    ...OPTIONS,
    recoveryTimeoutMs: 1_000,
    recoveryTimeoutMsMax: 2_000,
  });
  assert.equal(breaker.statistics.retryAfter, 2);
  await time.pass(2_000);
  assert.equal(breaker.state, "half_open");
  breaker.forceOpen();
  breaker.reconfigure(OPTIONS);
  assert.equal(breaker.state, "forced_open");
});

Deno.test("Breaker refuses options out of range and keeps the old ones", () => {
  for (
    const wrong of [
      { failureThreshold: 0 },
      { failureThreshold: 1.5 },
      { successThreshold: NaN },
      { recoveryTimeoutMs: 0 },
      { recoveryTimeoutMs: Infinity },
      { recoveryTimeoutMsMax: 5_000 },
      { backoffMultiplier: 0.5 },
      { backoffMultiplier: NaN },
      { jitter: -0.1 },
      { jitter: 1.1 },
      { jitter: NaN },
    ]
  ) {
    assert.throws(() => make(wrong), RangeError, JSON.stringify(wrong));
    const { breaker } = make();
    assert.throws(
      () => breaker.reconfigure({ ...OPTIONS, ...wrong }),
      RangeError,
    );
    fail(breaker, 3);
    assert.equal(breaker.state, "open");
  }
});

Deno.test("a listener that throws does not disturb the breaker", () => {
  const { world } = make();
  const onChange = () => {
    throw new Error("disk full");
  };
  const breaker = new Breaker("nmap", OPTIONS, { ...world, onChange });
  fail(breaker, 3);
  assert.equal(breaker.state, "open");
});

/** What a restart does: JSON to disk, a new process with another monotonic clock. */
function restart(
  breaker: Breaker,
  options: Partial<BreakerOptions> = {},
  wallNow = FakeTime.EPOCH,
) {
  const kept = JSON.parse(JSON.stringify(breaker.snapshot()));
  let now = 5;
  const revived = new Breaker("nmap", { ...OPTIONS, ...options }, {
    now: () => now,
    wallNow: () => wallNow,
    random: () => 0,
  });
  assert.equal(revived.restore(kept), true);
  return { revived, pass: (ms: number) => now += ms };
}

Deno.test("restore() honours the time that was left, measured on the wall clock", () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  const wallNow = time.wallNow() + 4_000;
  const { revived, pass } = restart(breaker, {}, wallNow);
  assert.equal(refusal(() => revived.admit()).retryAfter, 6);
  pass(5_999);
  refusal(() => revived.admit());
  pass(1);
  revived.admit().failed();
  assert.equal(revived.statistics.retryAfter, 20, "the backoff goes on");
});

Deno.test("restore() lets a probe through when the time passed while the server was off", () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  const { revived } = restart(breaker, {}, time.wallNow() + 1e8);
  revived.admit().succeeded();
  assert.equal(revived.state, "half_open");
});

Deno.test("restore() waits no longer than the longest time when the clock was set back", () => {
  const { breaker, time } = make();
  fail(breaker, 3);
  const { revived } = restart(breaker, {}, time.wallNow() - 1e10);
  assert.equal(revived.statistics.retryAfter, 35);
});

Deno.test("a restored forced-open holds, and forceClose() releases it", () => {
  const { breaker } = make();
  breaker.forceOpen();
  const { revived, pass } = restart(breaker);
  pass(1e9);
  refusal(() => revived.admit());
  revived.forceClose();
  revived.admit().succeeded();
  assert.equal(revived.state, "closed", "cockatiel never releases here");
});

Deno.test("restore() keeps failures in a row and the probes that succeeded", async () => {
  const { breaker, time } = make();
  fail(breaker, 2);
  const { revived } = restart(breaker);
  fail(revived, 1);
  assert.equal(revived.state, "open");

  fail(breaker, 1);
  await time.pass(10_000);
  breaker.admit().succeeded();
  breaker.admit();
  const half = restart(breaker).revived;
  half.admit().succeeded();
  assert.equal(half.state, "closed", "the lost probe holds no place");
});

Deno.test("restore() refuses a corrupt or hostile snapshot and starts closed", () => {
  const hostile: unknown[] = [
    null,
    undefined,
    "open",
    [],
    {},
    { state: "ajar" },
    { state: "__proto__" },
    { state: "open" },
    { state: "open", openings: 1, retry_at: Infinity },
    { state: "open", openings: 1, retry_at: "1767225600000" },
    { state: "open", openings: 0, retry_at: 1 },
    { state: "open", openings: 1e300, retry_at: 1 },
    { state: "open", openings: 1, retry_at: -1 },
    { state: "closed" },
    { state: "closed", failures: -1 },
    { state: "closed", failures: 1.5 },
    { state: "closed", failures: NaN },
    { state: "half_open", openings: 1 },
    { state: "half_open", openings: 1, successes: "9" },
    Object.create({ state: "forced_open" }),
  ];
  for (const snapshot of hostile) {
    const { breaker } = make();
    breaker.forceOpen();
    assert.equal(breaker.restore(snapshot), false, JSON.stringify(snapshot));
    assert.equal(breaker.state, "closed");
    assert.equal(breaker.statistics.consecutiveFailures, 0);
    breaker.admit().succeeded();
  }
});

Deno.test("restore() makes results of calls before it stale", () => {
  const { breaker } = make({ failureThreshold: 1 });
  const slow = breaker.admit();
  breaker.restore({ state: "closed", failures: 0 });
  slow.failed();
  assert.equal(breaker.state, "closed");
});

Deno.test("countsAsFailure() counts faults of a tool and nothing that a caller can choose", () => {
  const counts: ErrorCode[] = [
    "timeout",
    "tool_failed",
    "tool_unavailable",
    "internal",
  ];
  for (const code of ERROR_CODES) {
    assert.equal(countsAsFailure(code), counts.includes(code), code);
  }
});
