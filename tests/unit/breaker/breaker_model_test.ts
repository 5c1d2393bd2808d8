import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { type Admission, Breaker } from "@/breaker/breaker.ts";
import { FakeTime } from "../health/fake_time.ts";
import { verifies } from "../../requirements.ts";

verifies("breaker.model");

const OPTIONS = {
  failureThreshold: 2,
  successThreshold: 2,
  recoveryTimeoutMs: 1_000,
  backoffMultiplier: 2,
  recoveryTimeoutMsMax: 3_000,
  jitter: 0,
};

/** The model numbers its generations; the breaker compares objects. */
class Model {
  state: "closed" | "open" | "half_open" | "forced_open" = "closed";
  generation = 0;
  now = 0;
  until = 0;
  failures = 0;
  successes = 0;
  openings = 0;
  /** The generation each admitted call began in, or null once it was told. */
  calls: (number | null)[] = [];
  probe: number | null = null;

  move(state: Model["state"]): void {
    this.state = state;
    this.generation += 1;
    this.failures = 0;
    this.successes = 0;
    this.probe = null;
    if (state === "closed" || state === "forced_open") this.openings = 0;
  }

  open(): void {
    const openings = this.openings + 1;
    this.move("open");
    this.openings = openings;
    this.until = this.now + Math.min(1_000 * 2 ** (openings - 1), 3_000);
  }

  mayAdmit(): boolean {
    if (this.state === "forced_open") return false;
    if (this.state === "open") return this.now >= this.until;
    return this.state === "closed" || this.probe === null;
  }

  shown(): string {
    return this.state === "open" && this.now >= this.until
      ? "half_open"
      : this.state;
  }
}

class Real {
  readonly time = new FakeTime();
  readonly calls: Admission[] = [];
  breaker: Breaker;
  constructor() {
    this.breaker = this.make();
  }
  make(): Breaker {
    const { now, wallNow } = this.time;
    return new Breaker("nmap", OPTIONS, { now, wallNow, random: () => 0 });
  }
}

type Command = fc.Command<Model, Real>;

function compare(model: Model, real: Real): void {
  assert.equal(real.breaker.state, model.shown());
  const { consecutiveFailures, retryAfter } = real.breaker.statistics;
  assert.equal(consecutiveFailures, model.failures);
  const left = model.state === "open" ? model.until - model.now : 0;
  assert.equal(retryAfter, left > 0 ? Math.ceil(left / 1000) : null);
  const allowed = () => real.breaker.check();
  if (model.mayAdmit()) allowed();
  else assert.throws(allowed, AppError);
}

class Admit implements Command {
  check = () => true;
  run(model: Model, real: Real): void {
    if (!model.mayAdmit()) {
      assert.throws(() => real.breaker.admit(), AppError);
    } else {
      if (model.state === "open") {
        const { openings } = model;
        model.move("half_open");
        model.openings = openings;
      }
      if (model.state === "half_open") model.probe = model.calls.length;
      model.calls.push(model.generation);
      real.calls.push(real.breaker.admit());
    }
    compare(model, real);
  }
  toString = () => "admit";
}

class Tell implements Command {
  constructor(
    readonly pick: number,
    readonly outcome: "succeeded" | "failed" | "ignored",
    readonly times: number,
  ) {}
  check = (model: Readonly<Model>) => model.calls.length > 0;
  run(model: Model, real: Real): void {
    const index = this.pick % model.calls.length;
    for (let time = 0; time < this.times; time += 1) {
      real.calls[index]?.[this.outcome]();
    }
    const generation = model.calls[index];
    model.calls[index] = null;
    if (generation === model.generation) this.#count(model);
    compare(model, real);
  }
  #count(model: Model): void {
    model.probe = null;
    if (this.outcome === "ignored") return;
    if (this.outcome === "failed") {
      model.failures += model.state === "closed" ? 1 : 0;
      if (model.state === "half_open" || model.failures >= 2) model.open();
    } else if (model.state === "closed") model.failures = 0;
    else {
      model.successes += 1;
      if (model.successes >= 2) model.move("closed");
    }
  }
  toString = () => `call ${this.pick} ${this.outcome} ${this.times} times`;
}

class Pass implements Command {
  constructor(readonly ms: number) {}
  check = () => true;
  run(model: Model, real: Real): void {
    model.now += this.ms;
    real.time.hold(this.ms);
    compare(model, real);
  }
  toString = () => `pass(${this.ms})`;
}

class Force implements Command {
  constructor(readonly to: "closed" | "forced_open") {}
  check = () => true;
  run(model: Model, real: Real): void {
    model.move(this.to);
    if (this.to === "closed") real.breaker.forceClose();
    else real.breaker.forceOpen();
    compare(model, real);
  }
  toString = () => `force(${this.to})`;
}

/** Another process takes over from the state file; calls of the former one are lost to it. */
class Restart implements Command {
  check = () => true;
  run(model: Model, real: Real): void {
    const kept = JSON.stringify(real.breaker.snapshot());
    real.breaker = real.make();
    assert.equal(real.breaker.restore(JSON.parse(kept)), true);
    model.generation += 1;
    model.probe = null;
    compare(model, real);
  }
  toString = () => "restart";
}

Deno.test("Breaker matches its model under any sequence of calls, times, forces and restarts", () => {
  const tell = fc.tuple(
    fc.nat(12),
    fc.constantFrom("succeeded", "failed", "failed", "ignored" as const),
    fc.integer({ min: 1, max: 2 }),
  ).map(([pick, outcome, times]) => new Tell(pick, outcome, times));
  const commands = fc.commands([
    fc.constant(new Admit()),
    fc.constant(new Admit()),
    tell,
    tell,
    fc.constantFrom(1, 999, 1_000, 2_000, 3_000).map((ms) => new Pass(ms)),
    fc.constantFrom("closed" as const, "forced_open" as const)
      .map((to) => new Force(to)),
    fc.constant(new Restart()),
  ], { maxCommands: 80 });
  fc.assert(
    fc.property(commands, (sequence) => {
      const setup = () => ({ model: new Model(), real: new Real() });
      fc.modelRun(setup, sequence);
    }),
    { numRuns: 300 },
  );
});

Deno.test("at most one probe runs at a time under any interleaving", async () => {
  const plans = fc.array(
    fc.constantFrom("succeeded", "failed", "ignored", "lost" as const),
    { minLength: 2, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), plans, async (scheduler, outcomes) => {
      const real = new Real();
      real.breaker.restore({ state: "half_open", openings: 1, successes: 0 });
      let probes = 0;
      const call = async (outcome: typeof outcomes[number]) => {
        await scheduler.schedule(Promise.resolve(), "arrive");
        const halfOpen = real.breaker.snapshot().state === "half_open";
        let admission: Admission;
        try {
          admission = real.breaker.admit();
        } catch (error) {
          assert.ok(error instanceof AppError);
          return;
        }
        using held = admission;
        if (halfOpen) probes += 1;
        assert.ok(probes <= 1);
        await scheduler.schedule(Promise.resolve(), "work");
        if (halfOpen) probes -= 1;
        if (outcome !== "lost") held[outcome]();
      };
      await scheduler.waitFor(Promise.all(outcomes.map(call)));
      if (real.breaker.state === "half_open") real.breaker.check();
    }),
    { numRuns: 200 },
  );
});
