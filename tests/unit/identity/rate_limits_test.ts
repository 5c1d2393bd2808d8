import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import {
  CLIENTS_MAX,
  rateLimitFields,
  RateLimits,
  type RateTaker,
} from "@/identity/rate_limits.ts";
import { verifies } from "../../requirements.ts";

const ANN: RateTaker = { subject: "key:ann", tenant: "red" };
const BOB: RateTaker = { subject: "key:bob", tenant: "red" };
const EVE: RateTaker = { subject: "key:eve", tenant: "blue" };

/** The library reads the wall clock itself, so for a test it is turned by hand. */
class Clock implements Disposable {
  readonly #real = Date.now;
  #now = 1_767_225_600_000;
  readonly now = (): number => this.#now;

  constructor() {
    Date.now = this.now;
  }

  pass(seconds: number): void {
    this.#now += seconds * 1_000;
  }

  [Symbol.dispose](): void {
    Date.now = this.#real;
  }
}

function limits(client: number, tenant: number) {
  return { requests_per_minute: client, tenant_requests_per_minute: tenant };
}

async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, "rate_limited");
    return error;
  }
  assert.fail("expected a refusal");
}

Deno.test("RateLimits.take() counts a client's requests and refuses one over its limit", async () => {
  using clock = new Clock();
  await using rates = new RateLimits(limits(2, 0), clock.now);
  const first = { policy: "client", limit: 2, remaining: 1, resetSeconds: 60 };
  assert.deepEqual(await rates.take(ANN), { ...first, all: [first] });
  clock.pass(20);
  await rates.take(ANN);
  const error = await refusal(rates.take(ANN));
  assert.equal(error.retryAfter, 40);
  assert.equal(
    error.message,
    "Cannot take the request: this client sent 2 in this minute, the most allowed " +
      "(limits.requests_per_minute); retry after 40 s",
  );
  assert.equal((await rates.take(BOB))?.remaining, 1);
  clock.pass(40);
  assert.equal((await rates.take(ANN))?.remaining, 1);
  assert.deepEqual(rates.refusals, { client: 1, tenant: 0 });
});

Deno.test("RateLimits.take() counts the requests of all clients of a tenant together", async () => {
  using clock = new Clock();
  await using rates = new RateLimits(limits(0, 3), clock.now);
  for (const taker of [ANN, BOB, ANN]) await rates.take(taker);
  const error = await refusal(rates.take(BOB));
  assert.equal(
    error.message,
    "Cannot take the request: the clients of this tenant sent 3 in this minute, the most allowed " +
      "(limits.tenant_requests_per_minute); retry after 60 s",
  );
  await rates.take(EVE);
  assert.deepEqual(rates.refusals, { client: 0, tenant: 1 });
});

Deno.test("RateLimits.take() counts against both limits or, if one is reached, against none", async () => {
  verifies("rates.both");
  using clock = new Clock();
  await using rates = new RateLimits(limits(2, 3), clock.now);
  await rates.take(ANN);
  await rates.take(ANN);
  // Ann hammers on; Bob loses nothing by it.
  for (let count = 0; count < 10; count += 1) await refusal(rates.take(ANN));
  assert.equal((await rates.take(BOB))?.policy, "tenant");
  await refusal(rates.take(BOB));
  assert.deepEqual((await rates.view(BOB))?.all, [
    { policy: "client", limit: 2, remaining: 1, resetSeconds: 60 },
    { policy: "tenant", limit: 3, remaining: 0, resetSeconds: 60 },
  ]);
});

Deno.test("RateLimits.take() is exact when all requests come at once", async () => {
  using clock = new Clock();
  await using rates = new RateLimits(limits(30, 50), clock.now);
  const results = await Promise.allSettled(
    Array.from(
      { length: 200 },
      (_, index) => rates.take(index % 2 === 0 ? ANN : BOB),
    ),
  );
  const taken = results.filter(({ status }) => status === "fulfilled");
  assert.equal(taken.length, 50);
});

Deno.test("RateLimits with no limit counts nothing and says so", async () => {
  await using rates = new RateLimits(limits(0, 0), () => 0);
  assert.equal(await rates.take(ANN), null);
  assert.equal(await rates.view(ANN), null);
});

Deno.test("RateLimits.reconfigure() keeps what is used", async () => {
  using clock = new Clock();
  await using rates = new RateLimits(limits(10, 0), clock.now);
  for (let count = 0; count < 5; count += 1) await rates.take(ANN);
  rates.reconfigure(limits(3, 0));
  await refusal(rates.take(ANN));
  rates.reconfigure(limits(6, 0));
  assert.equal((await rates.take(ANN))?.remaining, 0);
});

Deno.test("RateLimits bars nobody for longer than a minute when the clock is set back", async () => {
  using clock = new Clock();
  await using rates = new RateLimits(limits(1, 0), () => performance.now());
  await rates.take(ANN);
  clock.pass(-3_600);
  assert.equal((await refusal(rates.take(ANN))).retryAfter, 60);
});

Deno.test("RateLimits gives so many clients a window of their own, and the others one", async () => {
  verifies("rates.bounded");
  using clock = new Clock();
  await using rates = new RateLimits(limits(2, 0), clock.now);
  const client = (name: string) => ({ subject: name, tenant: "red" });
  for (let count = 0; count < CLIENTS_MAX; count += 1) {
    await rates.take(client(`c${count}`));
  }
  await rates.take(client("x1"));
  await rates.take(client("x2"));
  await refusal(rates.take(client("x3")));
  assert.equal((await rates.take(client("c0")))?.remaining, 0);
  clock.pass(60);
  assert.equal((await rates.take(client("x3")))?.remaining, 1);
});

Deno.test("rateLimitFields() writes both limits as structured fields", async () => {
  using clock = new Clock();
  await using rates = new RateLimits(limits(600, 3_000), clock.now);
  await rates.take(BOB);
  clock.pass(10);
  const rate = await rates.take(ANN);
  assert.ok(rate);
  assert.deepEqual(rateLimitFields(rate), {
    "RateLimit": '"client";r=599;t=60, "tenant";r=2998;t=50',
    "RateLimit-Policy": '"client";q=600;w=60, "tenant";q=3000;w=60',
  });
});

Deno.test("RateLimits matches its model", async () => {
  const takers = [ANN, BOB, EVE];
  const steps = fc.array(
    fc.tuple(fc.constantFrom(...takers), fc.nat(15)),
    { maxLength: 80, size: "max" },
  );
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 9 }),
      async (steps, client, tenant) => {
        using clock = new Clock();
        await using rates = new RateLimits(limits(client, tenant), clock.now);
        /** By subject or tenant: when the window ends, and what is left. */
        const left = new Map<string, { end: number; left: number }>();
        for (const [taker, seconds] of steps) {
          clock.pass(seconds);
          const both = [
            [taker.subject, client],
            [taker.tenant, tenant],
          ] as const;
          const windows = both.map(([key, limit]) => {
            const known = left.get(key);
            return known !== undefined && known.end > clock.now()
              ? { key, ...known }
              : { key, end: clock.now() + 60_000, left: limit };
          });
          if (windows.some(({ left }) => left === 0)) {
            const { retryAfter = 0 } = await refusal(rates.take(taker));
            const ends = windows.filter(({ left }) => left === 0)
              .map(({ end }) => (end - clock.now()) / 1_000);
            assert.equal(retryAfter, Math.max(...ends));
            continue;
          }
          for (const { key, end, left: before } of windows) {
            left.set(key, { end, left: before - 1 });
          }
          const rate = await rates.take(taker);
          assert.deepEqual(
            rate?.all.map(({ remaining }) => remaining),
            windows.map(({ left }) => left - 1),
          );
        }
      },
    ),
    { numRuns: 100 },
  );
});
