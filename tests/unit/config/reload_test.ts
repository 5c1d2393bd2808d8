import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import { type Changes, pollFile } from "@/config/changes.ts";
import { loadConfig } from "@/config/load.ts";
import { changedKeys, ConfigWatcher } from "@/config/reload.ts";
import type { LoadedConfig } from "@/config/resolve.ts";
import { verifies } from "../../requirements.ts";

verifies("config.reload_whole_or_not");

function loaded(text: string): LoadedConfig {
  return loadConfig({ file: { name: "x.yaml", text }, env: {} });
}

/** Hints that a test gives, and a stream that ends when it is disposed. */
class FakeChanges implements Changes {
  #wake = Promise.withResolvers<void>();
  #waiting = 0;
  #ended = false;

  hint(): void {
    this.#waiting += 1;
    this.#wake.resolve();
  }

  async *hints(): AsyncIterable<void> {
    for (;;) {
      if (this.#waiting > 0) {
        this.#waiting -= 1;
        yield;
      } else if (this.#ended) return;
      else {
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#wake.resolve();
  }
}

/** A clock that a test moves: each wait ends when it says so. */
class FakeClock {
  #waits: PromiseWithResolvers<void>[] = [];
  #arrived = Promise.withResolvers<void>();

  readonly wait = (_ms: number, signal: AbortSignal): Promise<void> => {
    const one = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => one.resolve());
    this.#waits.push(one);
    this.#arrived.resolve();
    return one.promise;
  };

  /** Lets one wait pass, once somebody waits. */
  async pass(): Promise<void> {
    while (this.#waits.length === 0) {
      this.#arrived = Promise.withResolvers();
      await this.#arrived.promise;
    }
    this.#waits.shift()?.resolve();
  }
}

/** Lets everything that is ready run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

interface Rig {
  readonly watcher: ConfigWatcher;
  readonly changes: FakeChanges;
  readonly clock: FakeClock;
  readonly applied: string[];
  readonly warnings: string[];
  /** How often the file was read. */
  readonly reads: () => number;
  write(text: string): void;
  failNextApply(error: unknown): void;
}

function rig(initial = ""): Rig {
  const changes = new FakeChanges();
  const clock = new FakeClock();
  const applied: string[] = [];
  const warnings: string[] = [];
  let text = initial;
  let reads = 0;
  let failure: unknown = null;
  const watcher = new ConfigWatcher({
    initial: loaded(initial),
    load: () => {
      reads += 1;
      return Promise.resolve().then(() => loaded(text));
    },
    onLoaded: ({ config }, reason) => {
      if (failure !== null) {
        const error = failure;
        failure = null;
        throw error;
      }
      applied.push(`${config.security.max_network_size} ${reason}`);
    },
    onWarning: (message) => warnings.push(message),
    watch: () => changes,
    wait: clock.wait,
  });
  return {
    watcher,
    changes,
    clock,
    applied,
    warnings,
    reads: () => reads,
    write: (next) => text = next,
    failNextApply: (error) => failure = error,
  };
}

const SMALL = "security: { max_network_size: 16 }\n";
const SMALLER = "security: { max_network_size: 8 }\n";

Deno.test("ConfigWatcher applies a changed file once it is quiet", async () => {
  const { watcher, changes, clock, applied, warnings, write, reads } = rig();
  await using _ = watcher;
  write(SMALL);
  changes.hint();
  changes.hint();
  await settle();
  assert.equal(reads(), 0);
  // The second hint came while the first one's quiet time ran, so there is another.
  await clock.pass();
  await settle();
  assert.equal(reads(), 0);
  await clock.pass();
  await settle();
  assert.equal(reads(), 1);
  assert.deepEqual(applied, ["16 the file changed"]);
  assert.equal(watcher.current.config.security.max_network_size, 16);
  assert.deepEqual(warnings, []);
});

Deno.test("ConfigWatcher waits again while hints come, and not for ever", async () => {
  const { watcher, changes, clock, applied, write, reads } = rig();
  await using _ = watcher;
  write(SMALL);
  changes.hint();
  for (let round = 1; round < 10; round += 1) {
    await settle();
    changes.hint();
    await settle();
    await clock.pass();
    await settle();
    assert.equal(reads(), 0, `round ${round}`);
  }
  changes.hint();
  await settle();
  await clock.pass();
  await settle();
  // Ten waits of 200 ms are the two seconds that hints can put the reading off.
  assert.equal(reads(), 1);
  assert.deepEqual(applied, ["16 the file changed"]);
});

Deno.test("ConfigWatcher keeps the old configuration when the new one is refused, and says so once", async () => {
  const { watcher, changes, clock, applied, warnings, write } = rig(SMALL);
  await using _ = watcher;
  write("security: { max_network_size: big, allow_intrusive: true }\n");
  for (let time = 0; time < 3; time += 1) {
    changes.hint();
    await clock.pass();
    await settle();
  }
  assert.deepEqual(applied, []);
  assert.equal(watcher.current.config.security.max_network_size, 16);
  assert.equal(watcher.current.config.security.allow_intrusive, false);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? "",
    /^The configuration stays as it is \(the file changed\): Cannot use the configuration: 1 problem/,
  );
  const asked = await watcher.reload("SIGHUP");
  assert.equal(asked.kind, "kept");
  assert.equal(warnings.length, 2);
  write(SMALLER);
  changes.hint();
  await clock.pass();
  await settle();
  assert.deepEqual(applied, ["8 the file changed"]);
});

Deno.test("ConfigWatcher keeps the old configuration when the new one cannot be applied", async () => {
  const { watcher, applied, warnings, write, failNextApply } = rig(SMALL);
  await using _ = watcher;
  write(SMALLER);
  failNextApply(new AppError("tool_unavailable", "Cannot start an isolate"));
  assert.equal((await watcher.reload("SIGHUP")).kind, "kept");
  assert.equal(watcher.current.config.security.max_network_size, 16);
  assert.deepEqual(warnings, [
    "The configuration stays as it is (SIGHUP): Cannot start an isolate",
  ]);
  failNextApply(new TypeError("a bug with a /path"));
  const second = await watcher.reload("SIGHUP");
  assert.ok(second.kind === "kept" && second.error.code === "internal");
  assert.ok(!(warnings[1] ?? "").includes("/path"));
  assert.equal((await watcher.reload("SIGHUP")).kind, "applied");
  assert.deepEqual(applied, ["8 SIGHUP"]);
});

Deno.test("ConfigWatcher applies an unchanged file on request only", async () => {
  const { watcher, changes, clock, applied } = rig(SMALL);
  await using _ = watcher;
  changes.hint();
  await clock.pass();
  await settle();
  assert.deepEqual(applied, []);
  const reload = await watcher.reload("SIGHUP");
  assert.ok(reload.kind === "applied");
  assert.deepEqual(reload.changed, []);
  assert.deepEqual(applied, ["16 SIGHUP"]);
});

Deno.test("ConfigWatcher names the keys that changed", async () => {
  const { watcher, write } = rig(SMALL);
  await using _ = watcher;
  write(
    "security: { max_network_size: 9, denied_subnets: [10.0.0.0/8] }\nlog: { level: debug }\n",
  );
  const reload = await watcher.reload("SIGHUP");
  assert.ok(reload.kind === "applied");
  assert.deepEqual(reload.changed, [
    "security.denied_subnets",
    "security.max_network_size",
    "log.level",
  ]);
  assert.deepEqual(changedKeys(reload.loaded.config, reload.loaded.config), []);
});

Deno.test("ConfigWatcher leaves what is read at start as it is, and says so once", async () => {
  const { watcher, warnings, write } = rig();
  await using _ = watcher;
  write(
    `server: { port: 9, host: ::1, transport: http, shutdown_grace_seconds: 1, public_url: "https://scan.example", tls_certificate_file: cert.pem, tls_key_file: key.pem }
identity: { key_file: elsewhere/key }
policy: { folder: elsewhere, approval_expires_seconds: 60 }
events: { keep: 7, client_queue: 77 }
sandbox: { mode: bwrap, required: true }
database: { url: "postgres://127.0.0.1/other" }
state: { folder: elsewhere }
audit: { key: ${"ab".repeat(32)}, key_file: elsewhere/key }
`,
  );
  await watcher.reload("SIGHUP");
  const reload = await watcher.reload("SIGHUP");
  assert.ok(reload.kind === "applied");
  assert.deepEqual(reload.waiting, [
    "server.transport",
    "server.host",
    "server.port",
    "server.public_url",
    "server.tls_certificate_file",
    "server.tls_key_file",
    "identity.key_file",
    "policy.folder",
    "events.keep",
    "sandbox.mode",
    "sandbox.required",
    "database.url",
    "state.folder",
    "audit.key_file",
    "audit.key",
  ]);
  const { config } = watcher.current;
  const atStart = loaded("").config;
  assert.deepEqual(config, {
    ...atStart,
    server: { ...atStart.server, shutdown_grace_seconds: 1 },
    policy: { ...atStart.policy, approval_expires_seconds: 60 },
    events: { ...atStart.events, client_queue: 77 },
  });
  assert.deepEqual(warnings, [
    "A new value takes effect at the next start only: server.transport, server.host, server.port, server.public_url, server.tls_certificate_file, server.tls_key_file, identity.key_file, policy.folder, events.keep, sandbox.mode, sandbox.required, database.url, state.folder, audit.key_file, audit.key",
  ]);
});

Deno.test("ConfigWatcher runs one reload at a time, and one more for all that were asked for meanwhile", async () => {
  const gates: PromiseWithResolvers<void>[] = [];
  let running = 0;
  const applied: string[] = [];
  await using watcher = new ConfigWatcher({
    initial: loaded(""),
    load: async () => {
      running += 1;
      assert.equal(running, 1);
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
      return loaded(SMALL);
    },
    onLoaded: (_, reason) => {
      running -= 1;
      applied.push(reason);
    },
    onWarning: assert.fail,
    watch: null,
  });
  const first = watcher.reload("first");
  const others = Array.from(
    { length: 1_000 },
    (_, index) => watcher.reload(`other ${index}`),
  );
  assert.equal(new Set(others).size, 1, "each request queued something");
  gates[0]?.resolve();
  await first;
  await settle();
  gates[1]?.resolve();
  await Promise.all(others);
  assert.equal(gates.length, 2);
  assert.deepEqual(applied, ["first", "other 0"]);
});

Deno.test("ConfigWatcher goes on without a watch that cannot be started, that fails, or that ends", async () => {
  const failing = (hints: () => AsyncIterable<void>): Changes => ({
    hints,
    [Symbol.dispose]() {},
  });
  const watches: (() => Changes)[] = [
    () => {
      throw new Deno.errors.NotCapable("no");
    },
    () => failing(async function* () {}),
    () =>
      // deno-lint-ignore require-yield
      failing(async function* () {
        throw new Error("gone");
      }),
  ];
  for (const watch of watches) {
    const warnings: string[] = [];
    await using watcher = new ConfigWatcher({
      initial: loaded(""),
      load: () => Promise.resolve(loaded(SMALL)),
      onLoaded: () => {},
      onWarning: (message) => warnings.push(message),
      watch,
    });
    assert.equal((await watcher.reload("SIGHUP")).kind, "applied");
    await settle();
    assert.deepEqual(warnings, [
      "The configuration file is not watched; send SIGHUP to reload it",
    ]);
  }
});

Deno.test("ConfigWatcher waits for the reload that runs when it is disposed, and runs none after it", async () => {
  const gate = Promise.withResolvers<void>();
  const applied: string[] = [];
  const warnings: string[] = [];
  const watcher = new ConfigWatcher({
    initial: loaded(""),
    load: async () => {
      await gate.promise;
      return loaded(SMALL);
    },
    onLoaded: (_, reason) => {
      applied.push(reason);
    },
    onWarning: (message) => warnings.push(message),
    watch: () => new FakeChanges(),
  });
  const running = watcher.reload("running");
  let disposed = false;
  const end = watcher[Symbol.asyncDispose]().then(() => disposed = true);
  await settle();
  assert.equal(disposed, false);
  const late = await watcher.reload("late");
  assert.ok(late.kind === "kept" && late.error.code === "cancelled");
  gate.resolve();
  await end;
  assert.equal((await running).kind, "applied");
  assert.deepEqual(applied, ["running"]);
  assert.deepEqual(warnings, []);
});

Deno.test("ConfigWatcher drops a hint that waits when it is disposed", async () => {
  const { watcher, changes, reads, write } = rig();
  write(SMALL);
  changes.hint();
  await settle();
  await watcher[Symbol.asyncDispose]();
  assert.equal(reads(), 0);
});

Deno.test("ConfigWatcher ends with the last good file under any order of writes, hints and requests", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.constantFrom("write", "bad", "hint", "ask"), {
        maxLength: 25,
      }),
      async (scheduler, steps) => {
        const changes = new FakeChanges();
        let size = 1_000;
        let bad = false;
        let active = 0;
        const seen: number[] = [];
        const watcher = new ConfigWatcher({
          initial: loaded("security: { max_network_size: 1000 }"),
          load: async () => {
            active += 1;
            assert.equal(active, 1, "two reloads at once");
            try {
              return await scheduler.schedule(
                Promise.resolve(),
                "read",
              ).then(() =>
                loaded(`security: { max_network_size: ${bad ? "bad" : size} }`)
              );
            } finally {
              active -= 1;
            }
          },
          onLoaded: async ({ config }) => {
            active += 1;
            assert.equal(active, 1, "applied beside another reload");
            await scheduler.schedule(Promise.resolve(), "apply");
            seen.push(config.security.max_network_size);
            active -= 1;
          },
          onWarning: () => {},
          watch: () => changes,
          wait: () => scheduler.schedule(Promise.resolve(), "wait"),
        });
        const requests: Promise<unknown>[] = [];
        for (const step of steps) {
          if (step === "write") {
            size += 1;
            bad = false;
          } else if (step === "bad") bad = true;
          else if (step === "hint") changes.hint();
          else requests.push(watcher.reload("SIGHUP"));
          if (scheduler.count() > 0 && size % 2 === 0) {
            await scheduler.waitOne();
          }
        }
        bad = false;
        const last = watcher.reload("last");
        await scheduler.waitFor(Promise.all([...requests, last]));
        assert.equal((await last).kind, "applied");
        assert.equal(watcher.current.config.security.max_network_size, size);
        assert.equal(seen.at(-1), size);
        assert.deepEqual(
          seen,
          seen.toSorted((a, b) => a - b),
          "an older file came after a newer one",
        );
        const end = watcher[Symbol.asyncDispose]();
        await scheduler.waitIdle();
        await end;
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("pollFile() hints when what it sees changes, also when the file goes and comes", async () => {
  const looks = ["a", "a", "b", null, null, "c"];
  const changes = pollFile("x", {
    everyMs: 1,
    look: () => Promise.resolve(looks.length > 1 ? looks.shift() ?? null : "c"),
  });
  let hints = 0;
  const timer = setTimeout(() => {}, 10_000);
  for await (const _ of changes.hints()) {
    hints += 1;
    if (hints === 3) changes[Symbol.dispose]();
  }
  clearTimeout(timer);
  assert.equal(hints, 3);
});
