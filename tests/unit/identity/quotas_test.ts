import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { type QuotaLimits, Quotas, type Takes } from "@/identity/quotas.ts";
import { BUCKETS, SlidingHour } from "@/identity/sliding_hour.ts";
import { verifies } from "../../requirements.ts";

const MINUTE = 60_000;
const NONE: QuotaLimits = {
  scans_per_hour: 0,
  targets_per_hour: 0,
  cpu_seconds_per_hour: 0,
  packets_per_hour: 0,
  concurrent_scans: 0,
};
const ONE: Takes = { scans: 1, targets: 0, packets: 0 };

function setup(limits: Partial<QuotaLimits>) {
  const clock = { now: 0 };
  const quotas = new Quotas({
    limits: { ...NONE, ...limits },
    tenants: ["red", "blue"],
    running: (tenant) => tenant === "red" ? 2 : 0,
    now: () => clock.now,
  });
  return { clock, quotas };
}

function refusal(act: () => unknown): AppError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, "quota_exceeded");
    return error;
  }
  assert.fail("expected a refusal");
}

Deno.test("Quotas.reserve() refuses what is over a quota and says which, how much and when", () => {
  const { clock, quotas } = setup({ targets_per_hour: 1_000 });
  clock.now = 30_000;
  quotas.reserve("red", { ...ONE, targets: 900 }).commit();
  clock.now = 10 * MINUTE;
  const error = refusal(() => quotas.reserve("red", { ...ONE, targets: 256 }));
  assert.equal(
    error.message,
    "Cannot scan: 900 of 1000 addresses of this tenant are used in this hour " +
      "(limits.targets_per_hour) and this scan takes 256; enough comes back in 3060 s: retry then, " +
      "or ask for less",
  );
  assert.equal(error.retryAfter, 3_060);
  // What it says is true, and not a second too early.
  clock.now += 3_059_000;
  refusal(() => quotas.reserve("red", { ...ONE, targets: 256 }));
  clock.now += 1_000;
  quotas.reserve("red", { ...ONE, targets: 256 }).commit();
});

Deno.test("Quotas.reserve() refuses what no hour can hold without telling to retry", () => {
  const { quotas } = setup({ packets_per_hour: 1_000 });
  const error = refusal(() =>
    quotas.reserve("red", { ...ONE, packets: 1_001 })
  );
  assert.equal(
    error.message,
    "Cannot scan: 0 of 1000 packets of this tenant are used in this hour (limits.packets_per_hour) " +
      "and this scan takes 1001, more than all of them; ask for less in one scan",
  );
  assert.equal(error.retryAfter, undefined);
});

Deno.test("Quotas.reserve() takes all of it or nothing", () => {
  verifies("quotas.reserve");
  const { quotas } = setup({ scans_per_hour: 5, packets_per_hour: 10 });
  refusal(() => quotas.reserve("red", { scans: 1, targets: 9, packets: 11 }));
  assert.deepEqual(quotas.use("red").map(({ used }) => used), [0, 0, 0, 0, 2]);
});

Deno.test("Quotas: what is reserved counts at once, and comes back without commit()", () => {
  verifies("quotas.reserve");
  const { clock, quotas } = setup({ scans_per_hour: 1 });
  const first = quotas.reserve("red", ONE);
  const error = refusal(() => quotas.reserve("red", ONE));
  assert.equal(error.retryAfter, 60);
  assert.match(error.message, /reserved by scans that have still to start/);
  // It waits for hours and still counts: it will send its packets yet.
  clock.now = 200 * MINUTE;
  refusal(() => quotas.reserve("red", ONE));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  first.commit();
  {
    using second = quotas.reserve("red", ONE);
    second.commit();
    second.commit();
  }
  assert.equal(quotas.use("red")[0]?.used, 1);
  assert.equal(refusal(() => quotas.reserve("red", ONE)).retryAfter, 3_660);
});

Deno.test("Quotas: processor seconds are charged at the end and bar new scans until they are back", () => {
  const { clock, quotas } = setup({ cpu_seconds_per_hour: 10 });
  const first = quotas.reserve("red", ONE);
  first.commit();
  quotas.charge("red", 9.5);
  const second = quotas.reserve("red", ONE);
  second.commit();
  second[Symbol.dispose]();
  clock.now = 5 * MINUTE;
  quotas.charge("red", 4.25);
  const error = refusal(() => quotas.reserve("red", ONE));
  assert.equal(
    error.message,
    "Cannot scan: 13.8 of 10 processor seconds of this tenant are used in this hour " +
      "(limits.cpu_seconds_per_hour); enough comes back in 3360 s: retry then, or ask for less",
  );
  clock.now += 3_360_000;
  quotas.reserve("red", ONE);
  // Exactly used up is used up.
  quotas.charge("red", 10 - 4.25);
  refusal(() => quotas.reserve("red", ONE));
});

Deno.test("Quotas.charge() counts for a scan that nothing was reserved for, and nothing for a tenant that is gone", () => {
  const { quotas } = setup({});
  quotas.charge("blue", 3);
  quotas.charge("gone", 3);
  assert.equal(quotas.use("blue")[2]?.used, 3);
  assert.deepEqual(quotas.use("gone"), []);
  for (const seconds of [-1, NaN, Infinity]) {
    assert.throws(() => quotas.charge("blue", seconds), RangeError);
  }
});

Deno.test("Quotas: one tenant's use leaves another's alone", () => {
  const { quotas } = setup({ scans_per_hour: 1 });
  quotas.reserve("red", ONE).commit();
  quotas.reserve("blue", ONE).commit();
  refusal(() => quotas.reserve("red", ONE));
});

Deno.test("Quotas.reserve() refuses a tenant that is not known and an amount that is none", () => {
  const { quotas } = setup({});
  for (const tenant of ["green", "__proto__", ""]) {
    assert.throws(() => quotas.reserve(tenant, ONE), RangeError);
  }
  for (const targets of [-1, NaN, Infinity]) {
    assert.throws(() => quotas.reserve("red", { ...ONE, targets }), RangeError);
  }
});

Deno.test("Quotas.reconfigure() keeps what is used, also where no limit was set", () => {
  const { clock, quotas } = setup({});
  quotas.reserve("red", { scans: 1, targets: 700, packets: 0 }).commit();
  const open = quotas.reserve("blue", ONE);
  quotas.reconfigure({ ...NONE, targets_per_hour: 500 }, ["red", "green"]);
  assert.deepEqual(quotas.tenants, ["red", "green"]);
  assert.equal(
    refusal(() => quotas.reserve("red", { ...ONE, targets: 1 })).retryAfter,
    3_660,
  );
  // What asks for nothing of it is not stopped by it.
  quotas.reserve("red", ONE);
  quotas.reserve("green", { ...ONE, targets: 500 });
  // A scan of a tenant that is gone ends like any other.
  open.commit();
  quotas.charge("blue", 1);
  clock.now = 61 * MINUTE;
  quotas.reserve("red", { ...ONE, targets: 500 });
});

Deno.test("Quotas.use() shows every quota with when some of it comes back", () => {
  const { clock, quotas } = setup({
    scans_per_hour: 10,
    concurrent_scans: 4,
  });
  const done = quotas.reserve("red", { scans: 1, targets: 256, packets: 0 });
  done.commit();
  clock.now = 2 * MINUTE;
  quotas.charge("red", 1.5);
  quotas.reserve("red", { scans: 1, targets: 1, packets: 0 });
  assert.deepEqual(quotas.use("red"), [
    { name: "scans_per_hour", limit: 10, used: 2, resetSeconds: 3_540 },
    { name: "targets_per_hour", limit: null, used: 257, resetSeconds: 3_540 },
    {
      name: "cpu_seconds_per_hour",
      limit: null,
      used: 1.5,
      resetSeconds: 3_660,
    },
    { name: "packets_per_hour", limit: null, used: 0, resetSeconds: 0 },
    { name: "concurrent_scans", limit: 4, used: 2, resetSeconds: 0 },
  ]);
});

/** The model keeps every use with its time. */
Deno.test("Quotas matches its model, and no hour ever holds more than the limit", () => {
  verifies("quotas.hour");
  const LIMIT = 20;
  const step = fc.oneof(
    fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(25 * MINUTE) }),
    fc.record({
      kind: fc.constant("reserve" as const),
      targets: fc.integer({ min: 0, max: 12 }),
    }),
    fc.record({ kind: fc.constant("commit" as const), pick: fc.nat(9) }),
    fc.record({ kind: fc.constant("dispose" as const), pick: fc.nat(9) }),
  );
  const steps = fc.array(step, { maxLength: 120, size: "max" });
  fc.assert(
    fc.property(steps, (steps) => {
      const { clock, quotas } = setup({ targets_per_hour: LIMIT });
      const used: { at: number; targets: number }[] = [];
      const open: { targets: number; real: ReturnType<Quotas["reserve"]> }[] =
        [];
      const sum = (all: readonly { targets: number }[]) =>
        all.reduce((total, { targets }) => total + targets, 0);
      const counts = ({ at }: { at: number }) =>
        Math.floor(clock.now / MINUTE) - Math.floor(at / MINUTE) <= 60;
      for (const step of steps) {
        const one = "pick" in step ? open[step.pick % open.length] : undefined;
        if (step.kind === "wait") clock.now += step.ms;
        else if (step.kind === "reserve") {
          const taken = sum(used.filter(counts)) + sum(open);
          const takes = { ...ONE, targets: step.targets };
          if (step.targets === 0 || taken + step.targets <= LIMIT) {
            const real = quotas.reserve("red", takes);
            open.push({ targets: step.targets, real });
          } else {
            const { retryAfter = 0 } = refusal(() =>
              quotas.reserve("red", takes)
            );
            assert.ok(retryAfter > 0 && retryAfter <= 3_660);
          }
        } else if (one !== undefined) {
          open.splice(open.indexOf(one), 1);
          if (step.kind === "commit") {
            one.real.commit();
            used.push({ at: clock.now, targets: one.targets });
          }
          one.real[Symbol.dispose]();
        }
        assert.equal(
          quotas.use("red")[1]?.used,
          sum(used.filter(counts)) + sum(open),
        );
      }
      for (const { at } of used) {
        const hour = used.filter((one) =>
          one.at >= at && one.at < at + 60 * MINUTE
        );
        assert.ok(sum(hour) <= LIMIT, "an hour held more than the limit");
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("SlidingHour.backIn() is the first moment at which so much is back", () => {
  const uses = fc.array(
    fc.tuple(fc.nat(8 * MINUTE), fc.integer({ min: 0, max: 9 })),
    { maxLength: 40, size: "max" },
  );
  fc.assert(
    fc.property(uses, fc.integer({ min: 1, max: 40 }), (uses, amount) => {
      const hour = new SlidingHour();
      let now = 0;
      for (const [ms, used] of uses) hour.add(used, now += ms);
      const before = hour.used(now);
      const backIn = hour.backIn(amount, now);
      if (backIn === null) return assert.ok(before < amount);
      assert.ok(hour.used(now + backIn - 1) > before - amount);
      assert.ok(hour.used(now + backIn) <= before - amount);
    }),
    { numRuns: 300 },
  );
});

Deno.test("SlidingHour is empty after a long silence and never goes back in time", () => {
  const hour = new SlidingHour();
  hour.add(5, 7 * MINUTE);
  assert.equal(hour.used(6 * MINUTE), 5);
  assert.equal(hour.used((7 + BUCKETS) * MINUTE - 1), 5);
  assert.equal(hour.used((7 + BUCKETS) * MINUTE), 0);
  hour.add(3, 1_000_000 * MINUTE);
  assert.equal(hour.used(1_000_000 * MINUTE), 3);
  assert.equal(hour.used(9_000_000 * MINUTE), 0);
});
