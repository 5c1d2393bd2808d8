import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { Permit, Semaphore } from "@/permits/semaphore.ts";
import { Permits } from "@/permits/permits.ts";
import { verifies } from "../../requirements.ts";

verifies("permits.bounded_queue", "permits.fair_and_abortable");

const never = new AbortController().signal;

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof AppError);
    return error;
  }
  assert.fail("expected a refusal");
}

Deno.test("Semaphore.acquire() grants up to its permits and then waits", async () => {
  const semaphore = new Semaphore({ permits: 2, queueMax: 1 });
  const first = await semaphore.acquire(never);
  await semaphore.acquire(never);
  const third = semaphore.acquire(never);
  assert.deepEqual(semaphore.stats, { held: 2, waiting: 1 });
  first[Symbol.dispose]();
  await third;
  assert.deepEqual(semaphore.stats, { held: 2, waiting: 0 });
});

Deno.test("Permit releases once, however often it is disposed of", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 5 });
  const first = await semaphore.acquire(never);
  const second = semaphore.acquire(never);
  let thirdStarted = false;
  semaphore.acquire(never).then(() => thirdStarted = true);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal((await second).held, true);
  await settle();
  assert.equal(thirdStarted, false, "two holders of a semaphore of one");
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 1 });
});

Deno.test("using gives a permit back when its block throws", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 0 });
  await assert.rejects(async () => {
    using _permit = await semaphore.acquire(never);
    throw new Error("the scan failed");
  });
  assert.deepEqual(semaphore.stats, { held: 0, waiting: 0 });
});

Deno.test("Semaphore.acquire() refuses when the queue is full and says when to retry", async () => {
  const semaphore = new Semaphore({
    permits: 1,
    queueMax: 1,
    retryAfterSeconds: 7,
  });
  await semaphore.acquire(never);
  semaphore.acquire(never);
  const error = await refusal(semaphore.acquire(never));
  assert.equal(error.code, "queue_full");
  assert.equal(error.retryAfter, 7);
  assert.equal(
    error.message,
    "Cannot queue a scan: 1 calls wait already, the most allowed; wait for a running scan to " +
      "end or cancel one, then retry after 7 s",
  );
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 1 });
});

Deno.test("Semaphore.acquire() with a queue of 0 refuses whoever cannot start at once", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 0 });
  await semaphore.acquire(never);
  const error = await refusal(semaphore.acquire(never));
  assert.equal(error.code, "queue_full");
});

Deno.test("aborting removes a waiter at once and frees its queue place", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 1 });
  await semaphore.acquire(never);
  const abort = new AbortController();
  const waiter = refusal(semaphore.acquire(abort.signal));
  abort.abort();
  // Synchronously: the next caller must find the place free without any turn of the loop.
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 0 });
  semaphore.acquire(never);
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 1 });
  assert.equal((await waiter).code, "cancelled");
});

Deno.test("Semaphore.acquire() refuses a signal that is aborted already, even with a free place", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 1 });
  const error = await refusal(semaphore.acquire(AbortSignal.abort()));
  assert.equal(error.code, "cancelled");
  assert.deepEqual(semaphore.stats, { held: 0, waiting: 0 });
});

Deno.test("an abort after the grant changes nothing", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 1 });
  const first = await semaphore.acquire(never);
  const abort = new AbortController();
  const second = semaphore.acquire(abort.signal);
  first[Symbol.dispose]();
  abort.abort();
  assert.equal((await second).held, true);
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 0 });
});

Deno.test("Semaphore serves waiters in order of arrival", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 10 });
  const first = await semaphore.acquire(never);
  const order: number[] = [];
  const waiters = [1, 2, 3, 4].map(async (number) => {
    using _permit = await semaphore.acquire(never);
    order.push(number);
  });
  first[Symbol.dispose]();
  await Promise.all(waiters);
  assert.deepEqual(order, [1, 2, 3, 4]);
});

Deno.test("Semaphore.resize() serves waiters when it grows and revokes nothing when it shrinks", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 10 });
  const held = [await semaphore.acquire(never)];
  const waiting = [1, 2, 3].map(() => semaphore.acquire(never));
  semaphore.resize({ permits: 3, queueMax: 10 });
  assert.deepEqual(semaphore.stats, { held: 3, waiting: 1 });
  held.push(...await Promise.all(waiting.slice(0, 2)));
  semaphore.resize({ permits: 1, queueMax: 0 });
  assert.deepEqual(semaphore.stats, { held: 3, waiting: 1 });
  assert.ok(held.every((permit) => permit.held));
  held[0]?.[Symbol.dispose]();
  held[1]?.[Symbol.dispose]();
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 1 });
  held[2]?.[Symbol.dispose]();
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 0 });
  assert.equal(
    (await refusal(semaphore.acquire(never))).code,
    "queue_full",
  );
});

Deno.test("Semaphore refuses limits that are no whole numbers in range, and keeps the old ones", () => {
  for (
    const limits of [
      { permits: 0, queueMax: 1 },
      { permits: NaN, queueMax: 1 },
      { permits: Infinity, queueMax: 1 },
      { permits: 1.5, queueMax: 1 },
      { permits: 1, queueMax: -1 },
      { permits: 1, queueMax: 1, keys: { nmap: { permits: 0, queueMax: 1 } } },
    ]
  ) {
    assert.throws(() => new Semaphore(limits), RangeError);
    const semaphore = new Semaphore({ permits: 1, queueMax: 1 });
    assert.throws(() => semaphore.resize(limits), RangeError);
  }
});

Deno.test("Permit cannot be forged", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 0 });
  const real = await semaphore.acquire(never);
  assert.ok(Permit.isPermit(real));
  const constructor = real.constructor as typeof Permit;
  assert.throws(() => new constructor(Symbol("guess"), () => {}), TypeError);
  assert.ok(!Permit.isPermit({ held: true, [Symbol.dispose]() {} }));
  assert.ok(!Permit.isPermit(Object.create(Permit.prototype)));
  assert.ok(!Permit.isPermit(structuredClone(real)));
  assert.ok(!Permit.isPermit(null));
});

const TOOLS = {
  nmap: { permits: 1, queueMax: 5 },
  gobuster: { permits: 2, queueMax: 1 },
};

Deno.test("Permits: a call that waits for its tool holds no global place", async () => {
  const permits = new Permits({ permits: 2, queueMax: 10, tools: TOOLS });
  await permits.acquire("nmap", never);
  permits.acquire("nmap", never);
  permits.acquire("nmap", never);
  await permits.acquire("gobuster", never);
  assert.deepEqual(permits.stats, { held: 2, waiting: 2 });
  assert.deepEqual(permits.byTool(), {
    nmap: { held: 1, waiting: 2 },
    gobuster: { held: 1, waiting: 0 },
  });
});

Deno.test("Permits: a freed global place goes to the oldest call that may use it", async () => {
  const permits = new Permits({ permits: 2, queueMax: 10, tools: TOOLS });
  const order: string[] = [];
  const nmap = await permits.acquire("nmap", never);
  const gobuster = await permits.acquire("gobuster", never);
  permits.acquire("nmap", never).then(() => order.push("nmap"));
  const later = permits.acquire("gobuster", never);
  later.then(() => order.push("gobuster"));
  gobuster[Symbol.dispose]();
  await settle();
  assert.deepEqual(order, ["gobuster"], "nmap is full: it is passed over");
  nmap[Symbol.dispose]();
  await settle();
  assert.deepEqual(order, ["gobuster", "nmap"]);
});

Deno.test("Permits: the older of two calls that could both start goes first", async () => {
  const permits = new Permits({ permits: 1, queueMax: 10, tools: TOOLS });
  const order: string[] = [];
  const first = await permits.acquire("gobuster", never);
  permits.acquire("nmap", never).then((permit) => {
    order.push("nmap");
    permit[Symbol.dispose]();
  });
  permits.acquire("gobuster", never).then(() => order.push("gobuster"));
  first[Symbol.dispose]();
  await settle();
  assert.deepEqual(order, ["nmap", "gobuster"]);
});

Deno.test("Permits: a full queue of one tool leaves the others alone", async () => {
  const permits = new Permits({ permits: 3, queueMax: 10, tools: TOOLS });
  await permits.acquire("gobuster", never);
  await permits.acquire("gobuster", never);
  permits.acquire("gobuster", never);
  const error = await refusal(permits.acquire("gobuster", never));
  assert.equal(error.code, "queue_full");
  assert.match(error.message, /^Cannot queue "gobuster": 1 calls wait already/);
  await permits.acquire("nmap", never);
});

Deno.test("Permits.acquire() refuses a tool that has no limit", async () => {
  const permits = new Permits<string>({
    permits: 1,
    queueMax: 1,
    tools: { nmap: { permits: 1, queueMax: 1 } },
  });
  for (const name of ["masscan", "__proto__", "constructor"]) {
    await assert.rejects(permits.acquire(name, never), RangeError);
  }
});

Deno.test("Permits.resize() lets waiters of a widened tool start", async () => {
  const permits = new Permits({ permits: 5, queueMax: 10, tools: TOOLS });
  await permits.acquire("nmap", never);
  const second = permits.acquire("nmap", never);
  permits.resize({
    permits: 5,
    queueMax: 10,
    tools: { ...TOOLS, nmap: { permits: 2, queueMax: 5 } },
  });
  assert.equal((await second).held, true);
});
