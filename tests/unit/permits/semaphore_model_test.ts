import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { type Permit, Semaphore } from "@/permits/semaphore.ts";
import { verifies } from "../../requirements.ts";

verifies("permits.model");

/**
 * The model: callers in order of arrival, each waiting, holding or gone, and the order in which tenants
 * were served. It is slow and plain where the semaphore is clever, and shares no code with it.
 */
interface Call {
  readonly id: number;
  readonly key: string;
  readonly tenant: string;
  state: "waiting" | "holding" | "gone" | "evicted";
}

class Model {
  calls: Call[] = [];
  /** Tenants by when they were last served; the last one is the last. */
  served: string[] = [];
  permits = 2;
  keyPermits = 1;
  tenantPermits: number | null = null;
  queueMax = 3;

  in(state: Call["state"], key?: string, tenant?: string): Call[] {
    return this.calls.filter((call) =>
      call.state === state && (key === undefined || call.key === key) &&
      (tenant === undefined || call.tenant === tenant)
    );
  }

  heldBy(tenant: string): number {
    return this.in("holding", undefined, tenant).length;
  }

  mayStart({ key, tenant }: Pick<Call, "key" | "tenant">): boolean {
    return this.in("holding").length < this.permits &&
      (key !== "a" || this.in("holding", "a").length < this.keyPermits) &&
      (this.tenantPermits === null || this.heldBy(tenant) < this.tenantPermits);
  }

  start(call: Call): void {
    call.state = "holding";
    this.served = this.served.filter((one) => one !== call.tenant);
    this.served.push(call.tenant);
  }

  serve(): void {
    for (;;) {
      const [first] = this.in("waiting").filter((call) => this.mayStart(call))
        .sort((one, other) =>
          this.heldBy(one.tenant) - this.heldBy(other.tenant) ||
          this.served.indexOf(one.tenant) - this.served.indexOf(other.tenant) ||
          one.id - other.id
        );
      if (first === undefined) return;
      this.start(first);
    }
  }

  /** Who has to go for a newcomer: null for nobody, the newcomer itself included. */
  crowding(newcomer: Call): Call | null {
    const key = this.in("waiting", "a").length >= 2 && newcomer.key === "a"
      ? "a"
      : undefined;
    const count = (tenant: string) => this.in("waiting", key, tenant).length;
    const [worst] = this.in("waiting", key).sort((one, other) =>
      count(other.tenant) - count(one.tenant) || other.id - one.id
    );
    return worst === undefined ||
        count(worst.tenant) < count(newcomer.tenant) + 2
      ? null
      : worst;
  }

  limits() {
    return {
      permits: this.permits,
      queueMax: this.queueMax,
      tenantPermits: this.tenantPermits,
      keys: { a: { permits: this.keyPermits, queueMax: 2 } },
    };
  }
}

interface RealCall {
  readonly abort: AbortController;
  permit?: Permit;
  code?: string;
}

const TENANTS = ["red", "blue", "green"];

class Real {
  readonly calls: RealCall[] = [];
  constructor(readonly semaphore: Semaphore) {}
}

type Command = fc.AsyncCommand<Model, Real>;

async function compare(model: Model, real: Real): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  assert.deepEqual(real.semaphore.stats, {
    held: model.in("holding").length,
    waiting: model.in("waiting").length,
  });
  for (const key of ["a", "b"]) {
    assert.deepEqual(real.semaphore.statsOf(key), {
      held: model.in("holding", key).length,
      waiting: model.in("waiting", key).length,
    });
  }
  for (const tenant of TENANTS) {
    assert.deepEqual(real.semaphore.statsBy(tenant), {
      held: model.heldBy(tenant),
      waiting: model.in("waiting", undefined, tenant).length,
    });
  }
  const busy = [...model.in("holding"), ...model.in("waiting")];
  assert.deepEqual(
    [...real.semaphore.tenants()].sort(),
    [...new Set(busy.map(({ tenant }) => tenant))].sort(),
    "no other tenant takes memory as one that is here",
  );
  const evicted = model.in("evicted");
  assert.equal(real.semaphore.evictions, evicted.length);
  for (const { id } of evicted) {
    assert.equal(real.calls[id]?.code, "queue_full");
  }
  for (const call of model.calls) {
    const held = real.calls[call.id]?.permit?.held === true;
    assert.equal(held, call.state === "holding", `call ${call.id}`);
  }
}

class Acquire implements Command {
  constructor(readonly key: string, readonly tenant: string) {}
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    const call: RealCall = { abort: new AbortController() };
    real.calls.push(call);
    const { key, tenant } = this;
    real.semaphore.acquire(call.abort.signal, { key, tenant }).then(
      (permit) => call.permit = permit,
      (error) => call.code = error instanceof AppError ? error.code : "bug",
    );
    const id = model.calls.length;
    const newcomer: Call = { id, key, tenant, state: "gone" };
    const full = model.in("waiting").length >= model.queueMax ||
      (key === "a" && model.in("waiting", "a").length >= 2);
    const evicted = full ? model.crowding(newcomer) : null;
    if (model.mayStart(newcomer)) model.start(newcomer);
    else if (!full) newcomer.state = "waiting";
    else if (evicted !== null) {
      evicted.state = "evicted";
      newcomer.state = "waiting";
    }
    model.calls.push(newcomer);
    await compare(model, real);
    if (newcomer.state === "gone") assert.equal(call.code, "queue_full");
  }
  toString = () => `acquire(${this.key}, ${this.tenant})`;
}

class Dispose implements Command {
  constructor(readonly pick: number, readonly times: number) {}
  check = (model: Readonly<Model>) => model.in("holding").length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const holding = model.in("holding");
    const call = holding[this.pick % holding.length];
    assert.ok(call);
    for (let time = 0; time < this.times; time += 1) {
      real.calls[call.id]?.permit?.[Symbol.dispose]();
    }
    call.state = "gone";
    model.serve();
    await compare(model, real);
  }
  toString = () => `dispose(${this.pick}, ${this.times} times)`;
}

class Abort implements Command {
  constructor(readonly pick: number) {}
  check = (model: Readonly<Model>) => model.calls.length > 0;
  async run(model: Model, real: Real): Promise<void> {
    const call = model.calls[this.pick % model.calls.length];
    assert.ok(call);
    real.calls[call.id]?.abort.abort();
    const waited = call.state === "waiting";
    if (waited) call.state = "gone";
    await compare(model, real);
    if (waited) assert.equal(real.calls[call.id]?.code, "cancelled");
  }
  toString = () => `abort(${this.pick})`;
}

class Resize implements Command {
  constructor(
    readonly permits: number,
    readonly keyPermits: number,
    readonly queueMax: number,
    readonly tenantPermits: number | null,
  ) {}
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    model.permits = this.permits;
    model.keyPermits = this.keyPermits;
    model.queueMax = this.queueMax;
    model.tenantPermits = this.tenantPermits;
    real.semaphore.resize(model.limits());
    model.serve();
    await compare(model, real);
  }
  toString = () =>
    `resize(${this.permits}, ${this.keyPermits}, ${this.queueMax}, ${this.tenantPermits})`;
}

Deno.test("Semaphore matches its model under any sequence of calls", async () => {
  verifies("permits.fair_tenants");
  const acquire = fc.tuple(
    fc.constantFrom("a", "b"),
    fc.constantFrom(...TENANTS),
  ).map(([key, tenant]) => new Acquire(key, tenant));
  const commands = fc.commands([
    acquire,
    acquire,
    acquire,
    fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 3 })).map(([pick, times]) =>
      new Dispose(pick, times)
    ),
    fc.nat(20).map((pick) => new Abort(pick)),
    fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(6),
      fc.option(fc.integer({ min: 1, max: 2 })),
    ).map(([permits, keyPermits, queueMax, tenantPermits]) =>
      new Resize(permits, keyPermits, queueMax, tenantPermits)
    ),
  ], { maxCommands: 60, size: "max" });
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const setup = () => {
        const model = new Model();
        return { model, real: new Real(new Semaphore(model.limits())) };
      };
      await fc.asyncModelRun(setup, sequence);
    }),
    { numRuns: 300 },
  );
});

Deno.test("Semaphore never exceeds its limits and loses no place under any interleaving", async () => {
  const calls = fc.array(
    fc.record({
      key: fc.constantFrom("a", "b"),
      tenant: fc.constantFrom(...TENANTS),
      abort: fc.boolean(),
      twice: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), calls, async (scheduler, plans) => {
      const semaphore = new Semaphore({
        permits: 2,
        queueMax: 4,
        keys: { a: { permits: 1, queueMax: 4 } },
      });
      const running = { a: 0, b: 0 };
      const run = async (
        { key, tenant, abort, twice }: typeof plans[number],
      ) => {
        await scheduler.schedule(Promise.resolve(), "arrive");
        const controller = new AbortController();
        if (abort) {
          scheduler.schedule(Promise.resolve(), "abort").then(() =>
            controller.abort()
          );
        }
        try {
          const permit = await semaphore.acquire(controller.signal, {
            key,
            tenant,
          });
          running[key as "a" | "b"] += 1;
          assert.ok(running.a <= 1 && running.a + running.b <= 2);
          await scheduler.schedule(Promise.resolve(), "work");
          running[key as "a" | "b"] -= 1;
          permit[Symbol.dispose]();
          await scheduler.schedule(Promise.resolve(), "late");
          if (twice) permit[Symbol.dispose]();
        } catch (error) {
          assert.ok(error instanceof AppError, String(error));
          assert.ok(["queue_full", "cancelled"].includes(error.code));
        }
      };
      const all = Promise.all(plans.map(run));
      await scheduler.waitFor(all);
      assert.deepEqual(semaphore.stats, { held: 0, waiting: 0 });
      assert.deepEqual(semaphore.statsOf("a"), { held: 0, waiting: 0 });
      assert.deepEqual(semaphore.tenants(), []);
    }),
    { numRuns: 150 },
  );
});

Deno.test("Semaphore lets each other tenant pass at most once before one that waits and holds nothing", async () => {
  verifies("permits.fair_tenants");
  const schedule = fc.record({
    permits: fc.integer({ min: 1, max: 4 }),
    others: fc.integer({ min: 1, max: 6 }),
    /** Which of the others asks again after each end, and which place ends next. */
    steps: fc.array(fc.tuple(fc.nat(), fc.nat()), {
      minLength: 20,
      maxLength: 80,
    }),
  });
  await fc.assert(
    fc.asyncProperty(schedule, async ({ permits, others, steps }) => {
      const semaphore = new Semaphore({ permits, queueMax: 1_000 });
      const running: Permit[] = [];
      /** Who got a place since the victim began to wait. */
      const passed: string[] = [];
      let done = false;
      const ask = (tenant: string) => {
        semaphore.acquire(new AbortController().signal, { tenant }).then(
          (permit) => {
            running.push(permit);
            if (tenant === "victim") done = true;
            else if (!done) passed.push(tenant);
          },
        );
      };
      for (const [other] of steps) ask(`other ${other % others}`);
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      passed.length = 0;
      ask("victim");
      for (const [other, end] of steps) {
        const [permit] = running.splice(end % running.length, 1);
        permit?.[Symbol.dispose]();
        ask(`other ${other % others}`);
        for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
        if (done) break;
      }
      assert.ok(done, "it never got a place");
      assert.deepEqual(passed, [...new Set(passed)]);
    }),
    { numRuns: 150 },
  );
});
