import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Check,
  type Finding,
  type HealthStatus,
  overallStatus,
  type Priority,
} from "@/health/check.ts";
import { Health, type HealthOptions } from "@/health/health.ts";
import { FakeTime, settle } from "./fake_time.ts";
import { verifies } from "../../requirements.ts";

verifies("health.priorities", "health.timeouts", "health.history");

const FINE: Finding = { status: "healthy", message: "fine", detail: {} };

function check(
  name: string,
  run: Check["run"],
  priority: Priority = "important",
): Check {
  return { name, priority, timeoutMs: 1_000, run };
}

function make(checks: Check[], options: Partial<HealthOptions> = {}) {
  const time = new FakeTime();
  const { now, wallNow, after } = time;
  const errors: [string, unknown][] = [];
  const health = new Health({
    checks,
    overallTimeoutMs: 3_000,
    intervalMs: 30_000,
    now,
    wallNow,
    after,
    onError: (name, error) => errors.push([name, error]),
    ...options,
  });
  return { health, time, errors };
}

const hang = () => new Promise<Finding>(() => {});

Deno.test("overallStatus() follows the priority rules", () => {
  const table: [string, HealthStatus][] = [
    ["", "healthy"],
    ["C+ I+ i+", "healthy"],
    ["C- I+ i+", "unhealthy"],
    ["C+ C- I+", "unhealthy"],
    ["C~ I+ i+", "degraded"],
    ["C+ I- i+", "degraded"],
    ["C+ I- I- I-", "degraded"],
    ["C+ I~ i+", "degraded"],
    ["C+ I+ i- i+", "healthy"],
    ["C+ I+ i- i~", "healthy"],
    ["C+ I+ i- i-", "degraded"],
    ["i-", "degraded"],
    ["i~ i~", "healthy"],
    ["C- I- i-", "unhealthy"],
  ];
  const priorities = { C: "critical", I: "important", i: "informational" };
  const statuses = { "+": "healthy", "~": "degraded", "-": "unhealthy" };
  for (const [text, expected] of table) {
    const results = text.split(" ").filter(Boolean).map((one) => ({
      priority: priorities[one[0] as "C"] as Priority,
      status: statuses[one[1] as "+"] as HealthStatus,
    }));
    assert.equal(overallStatus(results), expected, text);
  }
});

Deno.test("overallStatus() never improves when a check gets worse", () => {
  const statuses: HealthStatus[] = ["healthy", "degraded", "unhealthy"];
  const result = fc.record({
    priority: fc.constantFrom<Priority>(
      "critical",
      "important",
      "informational",
    ),
    status: fc.constantFrom(...statuses),
  });
  const results = fc.array(result, { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(results, fc.nat(5), (before, pick) => {
    const index = pick % before.length;
    const after = before.map((one, at) =>
      at === index ? { ...one, status: "unhealthy" as const } : one
    );
    const rank = (status: HealthStatus) => statuses.indexOf(status);
    assert.ok(rank(overallStatus(after)) >= rank(overallStatus(before)));
  }));
});

Deno.test("Health.look() reports each check with its figures", async () => {
  const { health } = make([
    check("a", () => Promise.resolve({ ...FINE, detail: { free: 3 } })),
  ]);
  assert.equal(health.latest, null);
  const report = await health.look();
  assert.deepEqual(report, {
    status: "healthy",
    at: FakeTime.EPOCH + 1_000,
    durationMs: 0,
    checks: [{
      name: "a",
      priority: "important",
      status: "healthy",
      message: "fine",
      detail: { free: 3 },
      durationMs: 0,
    }],
  });
  assert.equal(health.latest, report);
});

Deno.test("a check that throws is a failing check, and its text stays in the log", async () => {
  const boom = new TypeError("cannot open /srv/secret/path");
  const { health, errors, time } = make([
    check("rejects", () => Promise.reject(boom)),
    check("throws", () => {
      throw boom;
    }),
    check("throws a text", () => Promise.reject("boom")),
    check("answers nonsense", () => Promise.resolve({} as Finding)),
    check("answers nothing", () => Promise.resolve(null as unknown as Finding)),
    check("fine", () => Promise.resolve(FINE), "critical"),
  ]);
  const report = await health.look();
  assert.equal(report.status, "degraded");
  assert.deepEqual(report.checks.map(({ status }) => status), [
    "unhealthy",
    "unhealthy",
    "unhealthy",
    "unhealthy",
    "unhealthy",
    "healthy",
  ]);
  assert.equal(
    report.checks[0]?.message,
    "Cannot run the check: it threw TypeError; see the log",
  );
  assert.equal(errors.length, 5);
  assert.equal(time.timers, 0);
});

Deno.test("a check that hangs is unhealthy after its time, and hears of it", async () => {
  let aborted = false;
  const { health, time } = make([
    check("hangs", (signal) => {
      signal.addEventListener("abort", () => aborted = true);
      return hang();
    }, "critical"),
    check("fine", () => Promise.resolve(FINE)),
  ]);
  const look = health.look();
  await time.pass(999);
  assert.equal(health.latest, null);
  await time.pass(1);
  const report = await look;
  assert.equal(report.status, "unhealthy");
  assert.equal(report.durationMs, 1_000);
  assert.match(report.checks[0]?.message ?? "", /its time ran out/);
  assert.equal(aborted, true);
  assert.equal(time.timers, 0);
});

Deno.test("a check that still hangs is not started again", async () => {
  let runs = 0;
  let release = () => {};
  const { health, time } = make([
    check("stuck", () => {
      runs += 1;
      return new Promise((resolve) => release = () => resolve(FINE));
    }),
  ]);
  const first = health.look();
  await time.pass(1_000);
  await first;
  const second = await health.look();
  assert.match(second.checks[0]?.message ?? "", /its last run still hangs/);
  assert.equal(runs, 1);
  release();
  await settle();
  const third = health.look();
  release();
  assert.equal((await third).status, "healthy");
  assert.equal(runs, 2);
});

Deno.test("the overall time ends a look whose checks allow themselves more", async () => {
  const patient = { ...check("patient", hang), timeoutMs: 60_000 };
  const { health, time } = make([patient]);
  const look = health.look();
  await time.pass(3_000);
  const report = await look;
  assert.equal(report.durationMs, 3_000);
  assert.equal(report.checks[0]?.status, "unhealthy");
  assert.equal(time.timers, 0);
});

Deno.test("the time of a single check can be cut for all of them", async () => {
  const patient = { ...check("patient", hang), timeoutMs: 60_000 };
  const { health, time } = make([patient], { checkTimeoutMs: 200 });
  const look = health.look();
  await time.pass(200);
  assert.equal((await look).durationMs, 200);
});

Deno.test("whoever asks during a look gets the same one", async () => {
  let runs = 0;
  const { health } = make([
    check("a", () => {
      runs += 1;
      return Promise.resolve(FINE);
    }),
  ]);
  const [first, second] = await Promise.all([health.look(), health.look()]);
  assert.equal(first, second);
  assert.equal(runs, 1);
});

Deno.test("history is bounded and oldest first", async () => {
  const { health, time } = make([], { historyMax: 3 });
  for (let turn = 0; turn < 5; turn += 1) {
    await health.look();
    time.hold(10);
  }
  assert.deepEqual(
    health.history.map(({ at }) => at - FakeTime.EPOCH),
    [1_020, 1_030, 1_040],
  );
});

Deno.test("Health keeps 100 reports unless told otherwise", async () => {
  const { health } = make([]);
  for (let turn = 0; turn < 130; turn += 1) await health.look();
  assert.equal(health.history.length, 100);
});

Deno.test("a finding's message is cut at 500 characters", async () => {
  const { health } = make([
    check("long", () => Promise.resolve({ ...FINE, message: "x".repeat(999) })),
  ]);
  assert.equal((await health.look()).checks[0]?.message.length, 500);
});

Deno.test("start() looks at once and at every interval; stop() ends it", async () => {
  let looks = 0;
  const { health, time } = make([], { onReport: () => looks += 1 });
  health.start();
  health.start();
  await settle();
  assert.equal(looks, 1);
  await time.pass(30_000);
  assert.equal(looks, 2);
  await time.pass(60_000);
  assert.equal(looks, 4);
  health.setInterval(5_000);
  await time.pass(35_000);
  assert.equal(looks, 6);
  health.stop();
  assert.equal(time.timers, 0);
  await time.pass(90_000);
  assert.equal(looks, 6);
  assert.equal(health.monitoring, false);
});

Deno.test("stop() and start() during a look leave one loop", async () => {
  let release = () => {};
  const { health, time } = make([
    check(
      "slow",
      () => new Promise((resolve) => release = () => resolve(FINE)),
    ),
  ]);
  health.start();
  await settle();
  health.stop();
  health.start();
  release();
  await settle();
  assert.equal(time.timers, 1);
  health.stop();
  assert.equal(time.timers, 0);
});

Deno.test("disposing of Health stops it and leaves no timer", async () => {
  const { health, time } = make([check("a", () => Promise.resolve(FINE))]);
  {
    await using held = health;
    held.start();
  }
  assert.equal(time.timers, 0);
  assert.equal(health.history.length, 1);
});

Deno.test("listeners that throw do not end the monitoring", async () => {
  const { health, time } = make(
    [check("a", () => Promise.reject(new Error("x")))],
    {
      onReport: () => {
        throw new Error("listener");
      },
      onError: () => {
        throw new Error("listener");
      },
    },
  );
  health.start();
  await time.pass(60_000);
  assert.equal(health.history.length, 3);
  health.stop();
});

Deno.test("Health refuses two checks of one name and times that are not positive", () => {
  const twice = [check("a", hang), check("a", hang)];
  assert.throws(() => make(twice), RangeError);
  for (const ms of [0, -1, NaN]) {
    assert.throws(() => make([], { intervalMs: ms }), RangeError);
    assert.throws(() => make([], { overallTimeoutMs: ms }), RangeError);
    assert.throws(
      () => make([{ ...check("a", hang), timeoutMs: ms }]),
      RangeError,
    );
    assert.throws(() => make([]).health.setInterval(ms), RangeError);
  }
});
