import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { FairQueue, TENANTS_REMEMBERED } from "@/permits/fair_queue.ts";
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
      { permits: 1, queueMax: 1, tenantPermits: 0 },
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
  await permits.acquire("nmap", never, "red");
  permits.acquire("nmap", never, "red");
  permits.acquire("nmap", never, "red");
  await permits.acquire("gobuster", never, "red");
  assert.deepEqual(permits.stats, { held: 2, waiting: 2 });
  assert.deepEqual(permits.byTool(), {
    nmap: { held: 1, waiting: 2 },
    gobuster: { held: 1, waiting: 0 },
  });
});

Deno.test("Permits: a freed global place goes to the oldest call that may use it", async () => {
  const permits = new Permits({ permits: 2, queueMax: 10, tools: TOOLS });
  const order: string[] = [];
  const nmap = await permits.acquire("nmap", never, "red");
  const gobuster = await permits.acquire("gobuster", never, "red");
  permits.acquire("nmap", never, "red").then(() => order.push("nmap"));
  const later = permits.acquire("gobuster", never, "red");
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
  const first = await permits.acquire("gobuster", never, "red");
  permits.acquire("nmap", never, "red").then((permit) => {
    order.push("nmap");
    permit[Symbol.dispose]();
  });
  permits.acquire("gobuster", never, "red").then(() => order.push("gobuster"));
  first[Symbol.dispose]();
  await settle();
  assert.deepEqual(order, ["nmap", "gobuster"]);
});

Deno.test("Permits: a full queue of one tool leaves the others alone", async () => {
  const permits = new Permits({ permits: 3, queueMax: 10, tools: TOOLS });
  await permits.acquire("gobuster", never, "red");
  await permits.acquire("gobuster", never, "red");
  permits.acquire("gobuster", never, "red");
  const error = await refusal(permits.acquire("gobuster", never, "red"));
  assert.equal(error.code, "queue_full");
  assert.match(error.message, /^Cannot queue "gobuster": 1 calls wait already/);
  await permits.acquire("nmap", never, "red");
});

Deno.test("Permits.acquire() refuses a tool that has no limit", async () => {
  const permits = new Permits<string>({
    permits: 1,
    queueMax: 1,
    tools: { nmap: { permits: 1, queueMax: 1 } },
  });
  for (const name of ["masscan", "__proto__", "constructor"]) {
    await assert.rejects(permits.acquire(name, never, "red"), RangeError);
  }
});

Deno.test("Permits.resize() lets waiters of a widened tool start", async () => {
  const permits = new Permits({ permits: 5, queueMax: 10, tools: TOOLS });
  await permits.acquire("nmap", never, "red");
  const second = permits.acquire("nmap", never, "red");
  permits.resize({
    permits: 5,
    queueMax: 10,
    tools: { ...TOOLS, nmap: { permits: 2, queueMax: 5 } },
  });
  assert.equal((await second).held, true);
});

Deno.test("Semaphore: a freed place goes to the tenant that holds the fewest", async () => {
  const semaphore = new Semaphore({ permits: 3, queueMax: 10 });
  const red = await semaphore.acquire(never, { tenant: "red" });
  await semaphore.acquire(never, { tenant: "red" });
  await semaphore.acquire(never, { tenant: "blue" });
  const order: string[] = [];
  for (const tenant of ["red", "blue", "green"]) {
    semaphore.acquire(never, { tenant }).then((permit) => {
      order.push(tenant);
      if (tenant === "green") permit[Symbol.dispose]();
    });
  }
  red[Symbol.dispose]();
  await settle();
  // Then red and blue hold one each, and red was served before blue.
  assert.deepEqual(order, ["green", "red"]);
});

Deno.test("Semaphore: of tenants that hold as many, the one served longest ago goes first", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 20 });
  const order: string[] = [];
  const first = await semaphore.acquire(never, { tenant: "red" });
  const calls = ["red", "red", "red", "blue", "blue", "green"].map(
    async (tenant) => {
      using _permit = await semaphore.acquire(never, { tenant });
      order.push(tenant);
    },
  );
  first[Symbol.dispose]();
  await Promise.all(calls);
  assert.deepEqual(order, ["blue", "green", "red", "blue", "red", "red"]);
});

Deno.test("Semaphore: a tenant that comes one by one is not new each time", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 20 });
  const order: string[] = [];
  const work = async (tenant: string) => {
    using _permit = await semaphore.acquire(never, { tenant });
    order.push(tenant);
    await settle();
  };
  const drip = async () => {
    for (let turn = 0; turn < 6; turn += 1) await work("drip");
  };
  const crowd = ["red", "red", "red", "blue", "blue", "blue"].map(work);
  await Promise.all([...crowd, drip()]);
  // Of the first nine turns each tenant gets three.
  const turns = (tenant: string) =>
    order.slice(0, 9).filter((one) => one === tenant).length;
  assert.deepEqual(["red", "blue", "drip"].map(turns), [3, 3, 3]);
});

Deno.test("Semaphore: a tenant at its limit is passed over and holds nobody up", async () => {
  verifies("permits.tenant_limit");
  const semaphore = new Semaphore({
    permits: 3,
    queueMax: 10,
    tenantPermits: 1,
  });
  const red = await semaphore.acquire(never, { tenant: "red" });
  const second = semaphore.acquire(never, { tenant: "red" });
  await semaphore.acquire(never, { tenant: "blue" });
  assert.deepEqual(semaphore.stats, { held: 2, waiting: 1 });
  assert.deepEqual(semaphore.statsBy("red"), { held: 1, waiting: 1 });
  red[Symbol.dispose]();
  assert.equal((await second).held, true);
  semaphore.acquire(never, { tenant: "red" });
  semaphore.resize({ permits: 3, queueMax: 10, tenantPermits: 2 });
  assert.deepEqual(semaphore.statsBy("red"), { held: 2, waiting: 0 });
});

Deno.test("Semaphore: a full queue is shared among tenants in equal parts", async () => {
  verifies("permits.fair_queue_bound");
  const semaphore = new Semaphore({
    permits: 1,
    queueMax: 4,
    retryAfterSeconds: 9,
  });
  await semaphore.acquire(never, { tenant: "red" });
  const red = [1, 2, 3, 4].map(() =>
    refusal(semaphore.acquire(never, { tenant: "red" }))
  );
  semaphore.acquire(never, { tenant: "blue" });
  assert.deepEqual(semaphore.statsBy("red"), { held: 1, waiting: 3 });
  const evicted = await red[3];
  assert.equal(evicted?.code, "queue_full");
  assert.equal(evicted?.retryAfter, 9);
  assert.equal(
    evicted?.message,
    "Cannot wait any longer: the queue is full, and this tenant has the most calls in it; have " +
      "fewer calls wait, then retry after 9 s",
  );
  const blue = refusal(semaphore.acquire(never, { tenant: "blue" }));
  // Two and two: whoever comes now is refused, but for a tenant that has none.
  for (const tenant of ["red", "blue"]) {
    const { code } = await refusal(semaphore.acquire(never, { tenant }));
    assert.equal(code, "queue_full");
  }
  semaphore.acquire(never, { tenant: "green" });
  const waiting = ["red", "blue", "green"].map((tenant) =>
    semaphore.statsBy(tenant).waiting
  );
  assert.deepEqual(waiting, [2, 1, 1]);
  assert.equal((await blue).code, "queue_full", "the newest of the two");
  assert.equal(semaphore.evictions, 3);
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 4 });
});

Deno.test("Semaphore: what made room for another tenant cannot be aborted any more", async () => {
  const semaphore = new Semaphore({ permits: 1, queueMax: 2 });
  await semaphore.acquire(never, { tenant: "red" });
  const abort = new AbortController();
  semaphore.acquire(never, { tenant: "red" });
  const newest = refusal(semaphore.acquire(abort.signal, { tenant: "red" }));
  semaphore.acquire(never, { tenant: "blue" });
  abort.abort();
  assert.equal((await newest).code, "queue_full");
  assert.deepEqual(semaphore.stats, { held: 1, waiting: 2 });
});

Deno.test("Permits: a thousand waiting requests of one tenant leave another's one the next place", async () => {
  verifies("permits.fair_queue_bound");
  const queueMax = 1_000;
  const permits = new Permits({
    permits: 4,
    queueMax,
    tools: {
      nmap: { permits: 2, queueMax },
      gobuster: { permits: 4, queueMax },
    },
  });
  const held = await Promise.all(
    ["nmap", "nmap", "gobuster", "gobuster"].map((tool) =>
      permits.acquire(tool as "nmap", never, "red")
    ),
  );
  const refused: string[] = [];
  for (let count = 0; count < queueMax; count += 1) {
    permits.acquire(count % 2 === 0 ? "nmap" : "gobuster", never, "red")
      .catch((error) => refused.push(error.code));
  }
  assert.equal(permits.waitingBy("red"), 1_000);
  const blue = permits.acquire("nmap", never, "blue");
  await settle();
  assert.deepEqual(refused, ["queue_full"], "red's newest made room");
  assert.deepEqual([permits.waitingBy("red"), permits.waitingBy("blue")], [
    999,
    1,
  ]);
  assert.equal(permits.evictions, 1);
  // A place that it cannot use is no turn of it.
  held[2]?.[Symbol.dispose]();
  assert.equal(permits.waitingBy("blue"), 1);
  held[0]?.[Symbol.dispose]();
  assert.equal(permits.waitingBy("blue"), 0);
  assert.equal((await blue).held, true);
  assert.deepEqual(permits.statsBy("blue"), { held: 1, waiting: 0 });
});

Deno.test("Permits: a queue that one tenant filled for one tool has room for another's", async () => {
  const permits = new Permits({ permits: 9, queueMax: 10, tools: TOOLS });
  await permits.acquire("nmap", never, "red");
  for (let count = 0; count < 5; count += 1) {
    permits.acquire("nmap", never, "red").catch(() => {});
  }
  await permits.acquire("gobuster", never, "red");
  await permits.acquire("gobuster", never, "red");
  permits.acquire("gobuster", never, "red");
  permits.acquire("nmap", never, "blue");
  assert.deepEqual(permits.byTool().nmap, { held: 1, waiting: 5 });
  assert.deepEqual(permits.byTool().gobuster, { held: 2, waiting: 1 });
  assert.deepEqual(permits.statsBy("blue"), { held: 0, waiting: 1 });
});

/** A count of steps, not a time: it says the same on every machine. */
Deno.test("Semaphore looks at each waiting tenant once a turn, however many requests wait", async () => {
  let looks = 0;
  const queue = new FairQueue();
  for (let count = 0; count < 1_024; count += 1) {
    queue.add({ key: "nmap", tenant: "red", grant() {}, evict() {} });
  }
  for (let count = 0; count < 1_024; count += 1) {
    const key = () => {
      looks += 1;
      return true;
    };
    const place = queue.next({ key, tenantHeldMax: Infinity });
    assert.ok(place);
    queue.remove(place);
  }
  assert.equal(looks, 1_024);
  assert.equal(queue.size, 0);
  await Promise.resolve();
});

Deno.test("FairQueue remembers so many tenants that are gone, and lets no forgotten one go first", () => {
  const queue = new FairQueue();
  const visit = (tenant: string) => {
    queue.served(tenant);
    queue.released(tenant);
  };
  visit("old");
  for (let count = 0; count < TENANTS_REMEMBERED; count += 1) {
    visit(`t${count}`);
  }
  const wait = (tenant: string) =>
    queue.add({ key: "", tenant, grant() {}, evict() {} });
  // "old" is forgotten by now, and counts as served when it was.
  for (const tenant of ["t5", "old", "t1"]) wait(tenant);
  const order: string[] = [];
  for (;;) {
    const place = queue.next({ key: () => true, tenantHeldMax: Infinity });
    if (place === null) break;
    queue.remove(place);
    order.push(place.waiter.tenant);
  }
  assert.deepEqual(order, ["old", "t1", "t5"]);
  assert.deepEqual(queue.tenants(), []);
});
