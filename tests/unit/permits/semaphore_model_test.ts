import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { type Permit, Semaphore } from "@/permits/semaphore.ts";
import { verifies } from "../../requirements.ts";

verifies("permits.model");

/**
 * The model: callers in order of arrival, each waiting, holding or gone. It is slow and plain where
 * the semaphore is clever, and shares no code with it.
 */
interface Call {
  readonly id: number;
  readonly key: string;
  state: "waiting" | "holding" | "gone";
}

class Model {
  calls: Call[] = [];
  permits = 2;
  keyPermits = 1;
  queueMax = 3;

  in(state: Call["state"], key?: string): Call[] {
    return this.calls.filter((call) =>
      call.state === state && (key === undefined || call.key === key)
    );
  }

  mayStart(key: string): boolean {
    return this.in("holding").length < this.permits &&
      (key !== "a" || this.in("holding", "a").length < this.keyPermits);
  }

  serve(): void {
    for (const call of this.in("waiting")) {
      if (this.mayStart(call.key)) call.state = "holding";
    }
  }

  limits() {
    return {
      permits: this.permits,
      queueMax: this.queueMax,
      keys: { a: { permits: this.keyPermits, queueMax: 2 } },
    };
  }
}

interface RealCall {
  readonly abort: AbortController;
  permit?: Permit;
  code?: string;
}

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
  for (const call of model.calls) {
    const held = real.calls[call.id]?.permit?.held === true;
    assert.equal(held, call.state === "holding", `call ${call.id}`);
  }
}

class Acquire implements Command {
  constructor(readonly key: string) {}
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    const call: RealCall = { abort: new AbortController() };
    real.calls.push(call);
    real.semaphore.acquire(call.abort.signal, this.key).then(
      (permit) => call.permit = permit,
      (error) => call.code = error instanceof AppError ? error.code : "bug",
    );
    const id = model.calls.length;
    const full = model.in("waiting").length >= model.queueMax ||
      (this.key === "a" && model.in("waiting", "a").length >= 2);
    const state = model.mayStart(this.key)
      ? "holding"
      : full
      ? "gone"
      : "waiting";
    model.calls.push({ id, key: this.key, state });
    await compare(model, real);
    if (state === "gone") assert.equal(call.code, "queue_full");
  }
  toString = () => `acquire(${this.key})`;
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
  ) {}
  check = () => true;
  async run(model: Model, real: Real): Promise<void> {
    model.permits = this.permits;
    model.keyPermits = this.keyPermits;
    model.queueMax = this.queueMax;
    real.semaphore.resize(model.limits());
    model.serve();
    await compare(model, real);
  }
  toString = () =>
    `resize(${this.permits}, ${this.keyPermits}, ${this.queueMax})`;
}

Deno.test("Semaphore matches its model under any sequence of calls", async () => {
  const commands = fc.commands([
    fc.constantFrom("a", "b").map((key) => new Acquire(key)),
    fc.constantFrom("a", "b").map((key) => new Acquire(key)),
    fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 3 })).map(([pick, times]) =>
      new Dispose(pick, times)
    ),
    fc.nat(20).map((pick) => new Abort(pick)),
    fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(4),
    ).map(([permits, keyPermits, queueMax]) =>
      new Resize(permits, keyPermits, queueMax)
    ),
  ], { maxCommands: 60 });
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const setup = () => {
        const model = new Model();
        return { model, real: new Real(new Semaphore(model.limits())) };
      };
      await fc.asyncModelRun(setup, sequence);
    }),
    { numRuns: 150 },
  );
});

Deno.test("Semaphore never exceeds its limits and loses no place under any interleaving", async () => {
  const calls = fc.array(
    fc.record({
      key: fc.constantFrom("a", "b"),
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
      const run = async ({ key, abort, twice }: typeof plans[number]) => {
        await scheduler.schedule(Promise.resolve(), "arrive");
        const controller = new AbortController();
        if (abort) {
          scheduler.schedule(Promise.resolve(), "abort").then(() =>
            controller.abort()
          );
        }
        try {
          const permit = await semaphore.acquire(controller.signal, key);
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
    }),
    { numRuns: 150 },
  );
});
