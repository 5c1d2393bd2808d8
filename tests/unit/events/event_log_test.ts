import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "@/error/app_error.ts";
import type { EventKind, Happening, LiveEvent } from "@/events/event.ts";
import { readEventId } from "@/events/event_id.ts";
import { EventLog, type EventLogOptions } from "@/events/event_log.ts";
import type { Listener } from "@/events/listener.ts";
import { verifies } from "../../requirements.ts";

const T0 = Date.UTC(2026, 0, 1);

function newLog(options: Partial<EventLogOptions> = {}): EventLog {
  return new EventLog({
    keep: 1_000,
    wallNow: () => T0,
    random: (bytes) => void crypto.getRandomValues(bytes),
    ...options,
  });
}

function happening(
  n: number,
  over: Partial<Happening> = {},
): Happening {
  return {
    kind: "scan.found",
    tenant: "a",
    scanId: null,
    data: { n },
    ...over,
  };
}

interface Begin {
  tenant?: string;
  seesServer?: boolean;
  after?: string | null;
  scanId?: string | null;
  signal?: AbortSignal;
  queueMax?: number;
  output?: boolean;
}

function listen(log: EventLog, begin: Begin = {}): Listener {
  return log.listen({
    tenant: "a",
    seesServer: false,
    after: null,
    scanId: null,
    signal: new AbortController().signal,
    queueMax: 100,
    ...begin,
  });
}

/** Everything that is there now. */
async function drain(listener: Listener): Promise<LiveEvent[]> {
  const events: LiveEvent[] = [];
  const nothing = Symbol();
  for (;;) {
    const next = listener.next();
    const ticks = (async () => {
      for (let tick = 0; tick < 5; tick++) await null;
      return nothing;
    })();
    const got = await Promise.race([next, ticks]);
    if (typeof got === "symbol") {
      pending.set(listener, next);
      return events;
    }
    if (got.done === true) return events;
    events.push(got.value);
  }
}

/** What `drain` asked for and did not get. */
const pending = new WeakMap<
  Listener,
  Promise<IteratorResult<LiveEvent>>
>();

/** Goes on behind `drain`. */
async function drainOn(listener: Listener): Promise<LiveEvent[]> {
  const first = pending.get(listener);
  if (first === undefined) return await drain(listener);
  const nothing = Symbol();
  const got = await Promise.race([
    first,
    (async () => {
      for (let tick = 0; tick < 5; tick++) await null;
      return nothing;
    })(),
  ]);
  if (typeof got === "symbol") return [];
  pending.delete(listener);
  if (got.done === true) return [];
  return [got.value, ...await drain(listener)];
}

const numbers = (events: readonly LiveEvent[]) =>
  events.map(({ kind, data }) => kind === "reset" ? "reset" : data["n"]);

async function codeOf(promise: Promise<unknown>): Promise<string | null> {
  try {
    await promise;
    return null;
  } catch (thrown) {
    assert.ok(thrown instanceof AppError);
    return thrown.code;
  }
}

Deno.test("listen() hears what is told from then on, in order", async () => {
  const log = newLog();
  log.tell(happening(1));
  const listener = listen(log);
  log.tell(happening(2));
  log.tell(happening(3));
  assert.deepEqual(numbers(await drain(listener)), [2, 3]);
  log.tell(happening(4));
  assert.deepEqual(numbers(await drainOn(listener)), [4]);
});

Deno.test("listen() replays what came after an id, then goes on", async () => {
  const log = newLog();
  const first = listen(log);
  for (let n = 1; n <= 5; n++) log.tell(happening(n));
  const [, second] = await drain(first);
  const back = listen(log, { after: second?.id ?? "" });
  log.tell(happening(6));
  assert.deepEqual(numbers(await drain(back)), [3, 4, 5, 6]);
});

Deno.test("listen() says that a gap is one: another run, no id, too old", async () => {
  verifies("events.reset");
  const log = newLog({ keep: 3 });
  const early = listen(log);
  log.tell(happening(1));
  const [old] = await drain(early);
  for (let n = 2; n <= 5; n++) log.tell(happening(n));
  const other = newLog();
  const elsewhere = listen(other);
  other.tell(happening(1));
  const [foreign] = await drain(elsewhere);
  for (
    const [after, reason] of [
      [old?.id ?? "", "too_old"],
      [foreign?.id ?? "", "unknown_id"],
      ["", "unknown_id"],
      ["1", "unknown_id"],
      ["x".repeat(10_000), "unknown_id"],
      [(old?.id ?? "").replace(/-1-0$/, "-99-0"), "unknown_id"],
      [(old?.id ?? "").replace(/-1-0$/, "-1-1"), "unknown_id"],
    ] as const
  ) {
    const events = await drain(listen(log, { after }));
    assert.deepEqual(numbers(events), ["reset", 3, 4, 5], after.slice(0, 40));
    assert.deepEqual(events[0]?.data, { reason });
  }
});

Deno.test("listen() can go on from the id of a reset", async () => {
  const log = newLog({ keep: 2 });
  for (let n = 1; n <= 4; n++) log.tell(happening(n));
  const [reset] = await drain(listen(log, { after: "?" }));
  const events = await drain(listen(log, { after: reset?.id ?? "" }));
  assert.deepEqual(numbers(events), [3, 4]);
});

Deno.test("listen() shows nothing of another tenant, and its ids count none of it", async () => {
  verifies("events.tenant");
  const log = newLog();
  const ours = listen(log);
  for (let n = 1; n <= 50; n++) log.tell(happening(n, { tenant: "b" }));
  log.tell(happening(51));
  log.tell(happening(52, { tenant: null }));
  log.tell(happening(53));
  const events = await drain(ours);
  assert.deepEqual(numbers(events), [51, 53]);
  assert.deepEqual(
    events.map(({ id }) => id.replace(/^[0-9a-f]{16}/, "E")),
    ["E-1-0", "E-2-0"],
  );
  const theirs = listen(log, { tenant: "b", after: events[0]?.id ?? "" });
  assert.equal((await drain(theirs))[0]?.kind, "reset");
});

Deno.test("listen() gives the server's events to who may see them, merged in order", async () => {
  const log = newLog();
  const admin = listen(log, { seesServer: true });
  log.tell(happening(1));
  log.tell(happening(2, { tenant: null }));
  log.tell(happening(3));
  const live = await drain(admin);
  assert.deepEqual(numbers(live), [1, 2, 3]);
  for (let at = 0; at < live.length; at++) {
    const after = live[at]?.id ?? "";
    const again = await drain(listen(log, { seesServer: true, after }));
    assert.deepEqual(again, live.slice(at + 1));
  }
});

Deno.test("listen() cuts to one scan", async () => {
  const log = newLog();
  const one = listen(log, { scanId: "s1", seesServer: true });
  log.tell(happening(1, { scanId: "s1" }));
  log.tell(happening(2, { scanId: "s2" }));
  log.tell(happening(3, { tenant: null }));
  log.tell(happening(4, { scanId: "s1" }));
  const events = await drain(one);
  assert.deepEqual(numbers(events), [1, 4]);
  const after = events[0]?.id ?? "";
  assert.deepEqual(
    numbers(await drain(listen(log, { scanId: "s1", after }))),
    [4],
  );
});

Deno.test("a flood of one tenant takes no event of another from the log", async () => {
  verifies("events.fair");
  const log = newLog({ keep: 100 });
  const quiet = listen(log, { tenant: "quiet" });
  log.tell(happening(1, { tenant: "quiet" }));
  const [first] = await drain(quiet);
  log.tell(happening(2, { tenant: "quiet" }));
  for (let n = 0; n < 10_000; n++) log.tell(happening(n, { tenant: "loud" }));
  assert.equal(log.state.kept, 100);
  const back = listen(log, { tenant: "quiet", after: first?.id ?? "" });
  assert.deepEqual(numbers(await drain(back)), [2]);
});

Deno.test("the log is bounded in bytes as well, and keeps nothing where it shall not", () => {
  const log = newLog({ keep: 1_000_000, keepBytes: 100_000 });
  for (let n = 0; n < 1_000; n++) {
    log.tell(happening(n, { data: { text: "x".repeat(1_000) } }));
  }
  assert.ok(log.state.keptBytes <= 100_000);
  assert.ok(log.state.kept > 10);
  const none = newLog({ keep: 0 });
  none.tell(happening(1));
  assert.deepEqual([none.state.kept, none.state.keptBytes], [0, 0]);
});

Deno.test("a log that keeps nothing still tells who listens", async () => {
  const log = newLog({ keep: 0 });
  const listener = listen(log, { after: "?" });
  log.tell(happening(1));
  assert.deepEqual(numbers(await drain(listener)), ["reset", 1]);
});

Deno.test("tell() never throws, whatever the data, and keeps a copy", async () => {
  const log = newLog();
  const listener = listen(log);
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const late = { n: 1 };
  log.tell(happening(0, { data: cycle }));
  log.tell(happening(0, { data: { big: 1n } }));
  log.tell(happening(0, { data: { long: "x".repeat(20_000) } }));
  log.tell(happening(0, { data: late }));
  late.n = 2;
  const events = await drain(listener);
  assert.deepEqual(events.map(({ data }) => data), [
    { omitted: true },
    { omitted: true },
    { omitted: true },
    { n: 1 },
  ]);
  assert.equal(log.state.unfit, 3);
});

Deno.test("a listener that is too slow is dropped, and finds back without a loss", async () => {
  verifies("events.slow");
  const log = newLog();
  const slow = listen(log, { queueMax: 10 });
  log.tell(happening(0));
  const [first] = [await slow.next()];
  assert.ok(first?.done === false);
  for (let n = 1; n <= 11; n++) log.tell(happening(n));
  assert.equal(log.state.listeners, 0);
  assert.equal(log.state.dropped, 1);
  assert.equal(slow.queued, 0);
  assert.equal(await codeOf(slow.next()), "rate_limited");
  assert.deepEqual(await slow.next(), { done: true, value: undefined });
  const back = listen(log, { after: first.value.id });
  assert.deepEqual(
    numbers(await drain(back)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
});

Deno.test("progress gives way in a full queue: the last counts, and no end is lost", async () => {
  const log = newLog();
  const slow = listen(log, { queueMax: 8 });
  const tell = (kind: EventKind, n: number, scanId: string) =>
    log.tell(happening(n, { kind, scanId }));
  tell("scan.started", 0, "s1");
  tell("scan.started", 1, "s2");
  for (let n = 2; n < 1_000; n++) {
    tell("scan.progress", n, n % 2 === 0 ? "s1" : "s2");
  }
  tell("scan.ended", 1_000, "s1");
  assert.deepEqual(numbers(await drain(slow)), [0, 1, 999, 1_000]);
  assert.equal(log.state.dropped, 0);
});

Deno.test("the log keeps the last progress of a scan only", async () => {
  const log = newLog({ keep: 10 });
  const before = listen(log).position;
  log.tell(happening(0, { kind: "scan.started", scanId: "s1" }));
  for (let n = 1; n <= 5_000; n++) {
    log.tell(happening(n, { kind: "scan.progress", scanId: "s1" }));
  }
  assert.equal(log.state.kept, 2);
  const back = listen(log, { after: before });
  assert.deepEqual(numbers(await drain(back)), [0, 5_000]);
});

Deno.test("position names the last event that was taken, and moves on over foreign ones", async () => {
  const log = newLog();
  const listener = listen(log, { scanId: "s1" });
  log.tell(happening(1, { scanId: "s1" }));
  const begin = listener.position;
  await listener.next();
  // It may have died over it.
  assert.equal(listener.position, begin);
  const next = listener.next();
  for (let n = 0; n < 5; n++) log.tell(happening(n, { scanId: "s2" }));
  assert.match(listener.position, /-6-0$/);
  log.tell(happening(7, { scanId: "s1" }));
  assert.match(listener.position, /-6-0$/);
  await next;
});

Deno.test("an abort, a return and a close each end a listener at once", async () => {
  const log = newLog();
  const controller = new AbortController();
  const aborted = listen(log, { signal: controller.signal });
  const left = listen(log);
  const closed = listen(log);
  const waits = [aborted.next(), closed.next()];
  controller.abort();
  await left.return();
  log.close();
  for (const wait of [...waits, left.next()]) {
    assert.deepEqual(await wait, { done: true, value: undefined });
  }
  assert.equal(log.state.listeners, 0);
  log.tell(happening(1));
  assert.throws(() => listen(log), { code: "tool_unavailable" });
});

Deno.test("listen() with a signal that is aborted already ends and leaves nothing", async () => {
  const log = newLog();
  const listener = listen(log, { signal: AbortSignal.abort() });
  assert.equal((await listener.next()).done, true);
  assert.equal(log.state.listeners, 0);
});

Deno.test("listen() refuses more than its bounds, for a tenant and in all", () => {
  const log = newLog({ listenersMax: 3, tenantListenersMax: 2 });
  const first = new AbortController();
  listen(log, { signal: first.signal });
  listen(log);
  assert.throws(() => listen(log), { code: "rate_limited" });
  listen(log, { tenant: "b" });
  assert.throws(() => listen(log, { tenant: "c" }), { code: "rate_limited" });
  first.abort();
  listen(log, { tenant: "c" });
});

Deno.test("ten thousand listeners come and go, and nothing of them stays", async () => {
  verifies("events.growth");
  const log = newLog({ keep: 100 });
  const server = new AbortController();
  for (let round = 0; round < 2; round++) {
    const one = new AbortController();
    const signal = AbortSignal.any([server.signal, one.signal]);
    const all = Array.from(
      { length: 10_000 },
      (_, n) => listen(log, { signal, tenant: `t${n % 7}`, queueMax: 10 }),
    );
    const firsts = all.map((listener) => listener.next());
    for (let n = 0; n < 7; n++) log.tell(happening(n, { tenant: `t${n}` }));
    for (const result of await Promise.all(firsts)) {
      assert.equal(result.done, false);
    }
    // Nobody reads on: each is dropped at its bound.
    for (let n = 0; n < 5 * 7; n++) {
      log.tell(happening(n, { tenant: `t${n % 7}` }));
    }
    one.abort();
    assert.equal(log.state.listeners, 0);
    assert.ok(all.every(({ queued }) => queued === 0));
  }
  assert.ok(log.state.kept <= 100);
});

Deno.test("tenants that hold nothing and hear nothing are forgotten, and told so", async () => {
  const log = newLog({ keep: 0 });
  const listener = listen(log, { tenant: "t0" });
  log.tell(happening(1, { tenant: "t0" }));
  const [event] = await drain(listener);
  await listener.return();
  for (let n = 0; n < 25_000; n++) {
    log.tell(happening(n, { tenant: `x${n}` }));
  }
  assert.ok(log.state.tenants <= 10_000, String(log.state.tenants));
  const back = listen(log, { tenant: "t0", after: event?.id ?? "" });
  assert.equal((await drain(back))[0]?.kind, "reset");
});

/** What is done to the log in the model's test. */
type Step =
  | {
    readonly do: "tell";
    readonly tenant: string | null;
    readonly kind: EventKind;
    readonly scanId: string | null;
  }
  | { readonly do: "read"; readonly who: number }
  | { readonly do: "leave"; readonly who: number }
  | { readonly do: "return"; readonly who: number };

const STEPS: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("tell" as const),
      tenant: fc.constantFrom("a", "a", "b", null),
      kind: fc.constantFrom<EventKind>(
        "scan.progress",
        "scan.found",
        "scan.ended",
      ),
      scanId: fc.constantFrom("s1", "s2"),
    }),
  },
  ...(["read", "leave", "return"] as const).map((what) => ({
    weight: what === "read" ? 4 : 1,
    arbitrary: fc.record({
      do: fc.constant(what),
      who: fc.integer({ min: 0, max: 3 }),
    }),
  })),
);

/** A reader in the model: everything that it may see, plain. */
interface Reader {
  readonly tenant: string;
  readonly seesServer: boolean;
  readonly scanId: string | null;
  listener: Listener | null;
  /** How many of all events were told when it last had everything. */
  seen: number;
  last: string | null;
}

Deno.test("listeners match a model: nothing is lost, doubled or out of order", async () => {
  verifies("events.order");
  await fc.assert(
    fc.asyncProperty(
      fc.array(STEPS, { maxLength: 120, size: "max" }),
      fc.integer({ min: 0, max: 30 }),
      async (steps, keep) => {
        const log = newLog({ keep });
        const told: Happening[] = [];
        const readers: Reader[] = [
          { tenant: "a", seesServer: false, scanId: null },
          { tenant: "a", seesServer: true, scanId: null },
          { tenant: "b", seesServer: true, scanId: "s1" },
          { tenant: "c", seesServer: true, scanId: null },
        ].map((reader) => ({
          ...reader,
          listener: listen(log, { ...reader, queueMax: 1_000 }),
          seen: 0,
          last: null,
        }));
        const due = (
          { tenant, seesServer, scanId, seen }: Reader,
        ): Happening[] =>
          told.slice(seen).filter((one) =>
            (one.tenant === tenant || (one.tenant === null && seesServer)) &&
            (scanId === null || one.scanId === scanId)
          );
        for (const step of steps) {
          if (step.do === "tell") {
            const { tenant, kind, scanId } = step;
            const one = { tenant, kind, scanId, data: { n: told.length } };
            told.push(one);
            log.tell(one);
            assert.ok(log.state.kept <= keep);
            continue;
          }
          const reader = readers[step.who];
          assert.ok(reader !== undefined);
          if (step.do === "leave") {
            if (reader.listener === null) continue;
            reader.last = reader.listener.position;
            await reader.listener.return();
            reader.listener = null;
          } else if (step.do === "return" && reader.listener === null) {
            const after = reader.last;
            reader.listener = listen(log, { ...reader, after, queueMax: 1e3 });
            checkReplay(reader, await drain(reader.listener), due(reader));
            reader.seen = told.length;
          } else if (reader.listener !== null) {
            const got = await drainOn(reader.listener);
            assert.deepEqual(
              numbers(got),
              due(reader).map(({ data }) => data["n"]),
            );
            reader.seen = told.length;
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

/** A replay is all that is due, in order; progress may be what is newest, and a gap is announced. */
function checkReplay(
  _reader: Reader,
  got: readonly LiveEvent[],
  due: readonly Happening[],
): void {
  const isReset = got[0]?.kind === "reset";
  const shown = numbers(isReset ? got.slice(1) : got) as number[];
  const may = due.map(({ data }) => data["n"] as number);
  assert.deepEqual(shown, [...shown].sort((a, b) => a - b));
  assert.equal(new Set(shown).size, shown.length);
  if (isReset) {
    // What is kept ends with what is newest.
    return;
  }
  assert.ok(shown.every((n) => may.includes(n)), "nothing comes twice");
  for (const one of due) {
    const n = one.data["n"] as number;
    const isOld = one.kind === "scan.progress" &&
      due.some((other) =>
        other.kind === "scan.progress" && other.scanId === one.scanId &&
        other.tenant === one.tenant && (other.data["n"] as number) > n
      );
    assert.ok(shown.includes(n) || isOld, `event ${n} is lost`);
  }
}

/** Tells a line of output. */
function print(log: EventLog, text: string, scanId = "s1", tenant = "a"): void {
  const lines = [{ stream: "stdout", text }];
  log.tellOutput({ tenant, scanId }, { untrusted: { lines }, skipped: 0 });
}

/** The texts and counts of output, and the kinds of everything else. */
function printed(events: readonly LiveEvent[]): unknown[] {
  return events.map(({ kind, data }) => {
    if (kind !== "scan.output") return kind;
    const { untrusted, skipped } = data as {
      readonly untrusted: { readonly lines: readonly { text: string }[] };
      readonly skipped: number;
    };
    return [...untrusted.lines.map(({ text }) => text), skipped];
  });
}

Deno.test("output is told to those who asked for it, of their scan and their tenant", async () => {
  verifies("events.output.asked");
  const log = newLog();
  const listeners = {
    all: listen(log, { output: true }),
    one: listen(log, { output: true, scanId: "s2" }),
    house: listen(log, { output: true, tenant: "default", seesServer: true }),
    other: listen(log, { output: true, tenant: "b" }),
    plain: listen(log),
  };
  print(log, "first", "s1");
  print(log, "second", "s2");
  const heard: Record<string, unknown> = {};
  for (const [name, listener] of Object.entries(listeners)) {
    heard[name] = printed(await drain(listener));
  }
  assert.deepEqual(heard, {
    all: [["first", 0], ["second", 0]],
    one: [["second", 0]],
    house: [],
    other: [],
    plain: [],
  });
});

Deno.test("isWatched() knows who watches, until they go", async () => {
  const log = newLog();
  const scan = { tenant: "a", scanId: "s1" };
  listen(log);
  listen(log, { output: true, tenant: "b" });
  listen(log, { output: true, scanId: "s2" });
  assert.equal(log.isWatched(scan), false);
  assert.equal(log.isWatched({ ...scan, scanId: "s2" }), true);
  assert.equal(log.isWatched({ tenant: null, scanId: null }), false);
  const all = listen(log, { output: true });
  const one = listen(log, { output: true, scanId: "s1" });
  assert.equal(log.isWatched(scan), true);
  await all.return();
  assert.equal(log.isWatched(scan), true);
  await one.return();
  assert.equal(log.isWatched(scan), false);
  print(log, "to nobody");
  log.close();
  assert.equal(log.isWatched({ ...scan, scanId: "s2" }), false);
});

Deno.test("output is in no replay, takes no place and no number", async () => {
  verifies("events.output.live");
  const log = newLog({ keep: 4 });
  const listener = listen(log, { output: true });
  for (let n = 1; n <= 4; n++) {
    log.tell(happening(n));
    for (let at = 0; at < 50; at++) print(log, `${n}.${at}`);
  }
  assert.equal(log.state.kept, 4);
  assert.equal(log.state.told, 4);
  const events = await drain(listener);
  const ids = events.filter(({ kind }) => kind !== "scan.output");
  assert.deepEqual(numbers(ids), [1, 2, 3, 4]);
  // A client that saw a line last comes back with it, and misses nothing.
  for (const event of events) {
    const { own } = readEventId(event.id) ?? { own: NaN };
    const again = listen(log, { output: true, after: event.id });
    const rest = Array.from({ length: 4 - own }, (_, at) => own + 1 + at);
    assert.deepEqual(numbers(await drain(again)), rest, event.id);
  }
});

Deno.test("a listener that replays hears output once it has caught up", async () => {
  verifies("events.output.live");
  const log = newLog();
  const first = listen(log);
  log.tell(happening(1));
  log.tell(happening(2));
  const listener = listen(log, { output: true, after: first.position });
  print(log, "meanwhile");
  assert.deepEqual(numbers(await drain(listener)), [1, 2]);
  print(log, "now");
  assert.deepEqual(printed(await drainOn(listener)), [["now", 0]]);
});

Deno.test("the newest output waits for a slow listener, and nobody is dropped because of it", async () => {
  verifies("events.output.bounded");
  for (const [queueMax, waiting] of [[1_000, 16], [40, 10], [4, 1]] as const) {
    const log = newLog();
    const listener = listen(log, { output: true, queueMax });
    log.tell(happening(1));
    for (let n = 0; n < 5_000; n++) print(log, `${n}`);
    assert.equal(listener.queued, 1 + waiting);
    log.tell(happening(2));
    const events = printed(await drain(listener));
    assert.equal(log.state.dropped, 0);
    const lost = waiting === 1 ? 4_999 : 0;
    assert.deepEqual(events.slice(-2), [["4999", lost], "scan.found"]);
    assert.equal(events.length, 2 + waiting);
    assert.deepEqual(events[1], [`${5_000 - waiting}`, 5_000 - waiting]);
  }
});

Deno.test("lines that were pushed out are counted with the next ones of their scan", async () => {
  const log = newLog();
  const listener = listen(log, { output: true, queueMax: 8 });
  for (const scanId of ["s1", "s2", "s2", "s2"]) print(log, "x", scanId);
  // Two wait, and both are of the second scan.
  assert.deepEqual(printed(await drain(listener)), [["x", 1], ["x", 0]]);
  print(log, "y", "s1");
  assert.deepEqual(printed(await drainOn(listener)), [["y", 1]]);
  print(log, "z", "s1");
  assert.deepEqual(printed(await drainOn(listener)), [["z", 0]]);
});
