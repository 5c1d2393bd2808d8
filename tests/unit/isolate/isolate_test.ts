/**
 * The near side of the boundary against a far side that lies, dies and keeps silent.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import type { Isolate, Request } from "@/isolate/isolate.ts";
import type { Progress } from "@/tools/tool.ts";
import { verifies } from "../../requirements.ts";
import { FarSide, outcomeOf, REPORT } from "./fixtures/far_side.ts";
import { UNLABELLED } from "../../support/labels.ts";

const REQUEST: Request = {
  arguments: { target: "127.0.0.1" },
  rawSockets: false,
  resolved: new Map([["a.lab.internal", ["10.0.0.1"]]]),
  labels: UNLABELLED,
};

const SIGNAL = new AbortController().signal;

function scan(near: Isolate, signal = SIGNAL) {
  return near.scan(REQUEST, {}, signal);
}

/** The code that a promise is rejected with. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "no error";
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    return thrown.code;
  }
}

Deno.test("Isolate is ready when its grant is exactly the written one", async () => {
  using far = new FarSide();
  assert.equal(far.near.up, false);
  await far.ready();
  assert.equal(far.near.up, true);
});

Deno.test("Isolate refuses a far side whose grant is not exactly the written one", async () => {
  verifies("isolate.wider_grant_fails_start");
  const program = "/usr/bin/nmap";
  const unsound = [
    { run: [program], others: ["net"] },
    { run: [program], others: ["run"] },
    { run: [program, "/usr/bin/masscan"], others: [] },
    { run: ["/usr/bin/masscan"], others: [] },
    { run: [], others: [] },
  ];
  for (const grants of unsound) {
    using far = new FarSide();
    far.say({ kind: "ready", tool: "nmap", grants });
    await assert.rejects(far.near.ready, (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "internal");
      assert.equal(
        error.message,
        'Cannot start: the "nmap" isolate may do more than run it',
      );
      assert.doesNotMatch(error.message, /usr/);
      return true;
    });
    assert.equal(far.near.up, false);
  }
});

Deno.test("Isolate refuses a far side that says it is another tool", async () => {
  using far = new FarSide();
  const grants = { run: ["/usr/bin/nmap"], others: [] };
  far.say({ kind: "ready", tool: "masscan", grants });
  assert.equal(await codeOf(far.near.ready), "internal");
});

Deno.test("Isolate sends a request as text with nothing that could be a command line", async () => {
  verifies("isolate.no_argv_crosses");
  using far = await new FarSide().ready();
  const scanning = scan(far.near);
  const ask = await far.next("scan");
  assert.deepEqual({ ...ask }, {
    kind: "scan",
    id: ask.id,
    request: '{"target":"127.0.0.1"}',
    rawSockets: false,
    resolved: { "a.lab.internal": ["10.0.0.1"] },
    labels: { engagement: null, tags: [], tenant: "default" },
  });
  far.say({ kind: "done", id: ask.id, outcome: outcomeOf() });
  assert.deepEqual((await scanning).report, REPORT);
});

Deno.test("Isolate gives each answer to its own question, in whatever order", async () => {
  using far = await new FarSide().ready();
  const first = scan(far.near);
  const second = scan(far.near);
  const { id: firstId } = await far.next("scan");
  const { id: secondId } = await far.next("scan");
  assert.notEqual(firstId, secondId);
  const notes = ["second"];
  far.say({ kind: "done", id: secondId, outcome: outcomeOf({ notes }) });
  assert.deepEqual((await second).notes, notes);
  far.say({ kind: "done", id: firstId, outcome: outcomeOf() });
  assert.deepEqual((await first).notes, []);
});

Deno.test("Isolate tells of start and progress, and of nothing after the end", async () => {
  using far = await new FarSide().ready();
  const heard: string[] = [];
  const scanning = far.near.scan(REQUEST, {
    onStarted: ({ scanType }) => heard.push(scanType),
    onProgress: ({ phase }) => heard.push(phase),
  }, SIGNAL);
  const { id } = await far.next("scan");
  const progress: Progress = {
    percent: 1,
    remainingSeconds: null,
    found: 0,
    phase: "one",
  };
  const started = { argv: [], targets: [], scanType: "connect" };
  far.say({ kind: "started", id, ...started });
  far.say({ kind: "progress", id, progress });
  far.say({ kind: "done", id, outcome: outcomeOf() });
  far.say({ kind: "progress", id, progress: { ...progress, phase: "late" } });
  far.say({ kind: "done", id, outcome: outcomeOf({ notes: ["again"] }) });
  assert.deepEqual((await scanning).notes, []);
  await far.settled();
  assert.deepEqual(heard, ["connect", "one"]);
});

Deno.test("Isolate takes an error as code and message, and nothing else of it", async () => {
  verifies("isolate.error_is_data");
  using far = await new FarSide().ready();
  const scanning = scan(far.near);
  const { id } = await far.next("scan");
  const error = {
    code: "target_not_allowed",
    message: "Cannot scan",
    retry_after: 2,
    stack: "at /secret",
    detail: "/secret",
    cause: new Error("/secret"),
  };
  far.say({ kind: "refused", id, error });
  await assert.rejects(scanning, (thrown) => {
    assert.ok(thrown instanceof AppError);
    assert.deepEqual(thrown.toBody(), {
      code: "target_not_allowed",
      message: "Cannot scan",
      retry_after: 2,
    });
    assert.equal(thrown.detail, undefined);
    assert.equal(thrown.cause, undefined);
    return true;
  });
});

Deno.test("Isolate takes an error that is none for a fault of the server", async () => {
  verifies("isolate.error_is_data");
  using far = await new FarSide().ready();
  const errors = [
    { code: "no_such_code", message: "x" },
    { code: "timeout" },
    { code: "timeout", message: "x".repeat(5_000) },
    "text",
    null,
  ];
  for (const error of errors) {
    const scanning = scan(far.near);
    const { id } = await far.next("scan");
    far.say({ kind: "refused", id, error });
    assert.equal(await codeOf(scanning), "internal");
  }
});

Deno.test("Isolate survives what is no answer, and answers to questions nobody asked", async () => {
  verifies("isolate.messages.malformed");
  using far = await new FarSide().ready();
  const scanning = scan(far.near);
  const { id } = await far.next("scan");
  const junk = [
    null,
    0,
    "done",
    [],
    { kind: "done", id },
    { kind: "done", id, outcome: { report: {}, raw: "x" } },
    { kind: "progress", id },
    { kind: "pong", id: 9_999 },
    { kind: "done", id: 9_999, outcome: outcomeOf() },
    { kind: "refused", id: 9_999, error: { code: "timeout", message: "x" } },
    { kind: "__proto__", id },
  ];
  for (const message of junk) far.say(message);
  await far.settled();
  assert.equal(far.near.up, true);
  far.say({ kind: "done", id, outcome: outcomeOf() });
  assert.equal((await scanning).status, "succeeded");
});

Deno.test("Isolate takes an answer of the wrong kind for a fault of the server", async () => {
  using far = await new FarSide().ready();
  const scanning = scan(far.near);
  const { id } = await far.next("scan");
  far.say({ kind: "pong", id });
  assert.equal(await codeOf(scanning), "internal");
});

Deno.test("Isolate that dies answers everything in flight with tool_unavailable", async () => {
  verifies("isolate.crash.answered");
  using far = await new FarSide().ready();
  const inFlight = [
    scan(far.near),
    scan(far.near),
    far.near.plan(REQUEST, SIGNAL),
    far.near.resolve(["a.lab.internal"], SIGNAL),
    far.near.probe(SIGNAL),
    far.near.ping(SIGNAL),
  ];
  await far.next("ping");
  far.near.died("Uncaught RangeError at /secret");
  for (const one of inFlight) {
    await assert.rejects(one, (error) => {
      assert.ok(error instanceof AppError);
      assert.equal(error.code, "tool_unavailable");
      assert.equal(error.retryAfter, 3);
      assert.doesNotMatch(error.message, /secret|RangeError/);
      return true;
    });
  }
  assert.equal(far.near.up, false);
  // Whoever asks later hears the same at once, and hearing of the death twice changes nothing.
  far.near.died("again");
  assert.equal(await codeOf(scan(far.near)), "tool_unavailable");
});

Deno.test("Isolate that dies before it is up lets nobody wait for it", async () => {
  verifies("isolate.crash.answered");
  using far = new FarSide();
  far.near.died("it did not come up");
  assert.equal(await codeOf(far.near.ready), "tool_unavailable");
});

Deno.test("Isolate cancels by a message with the question's id", async () => {
  verifies("isolate.cancel_is_a_message");
  using far = await new FarSide().ready();
  const caller = new AbortController();
  const scanning = scan(far.near, caller.signal);
  const { id } = await far.next("scan");
  caller.abort();
  assert.deepEqual(await far.next("cancel"), { kind: "cancel", id });
  const outcome = outcomeOf({ status: "cancelled" });
  far.say({ kind: "done", id, outcome });
  assert.equal((await scanning).status, "cancelled");
});

Deno.test("Isolate asks nothing for a caller who has gone", async () => {
  using far = await new FarSide().ready();
  assert.equal(
    await codeOf(scan(far.near, AbortSignal.abort())),
    "cancelled",
  );
  await far.settled();
  assert.equal(far.count("scan"), 0);
});

/** Replaces the timers of this isolate by ones that a test lets go off. */
function heldTimers() {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const held = new Map<number, { ms: number; run: () => void }>();
  let next = 1;
  globalThis.setTimeout = ((run: () => void, ms = 0) => {
    held.set(next, { ms, run });
    return next++;
  }) as unknown as typeof setTimeout;
  globalThis.clearTimeout = (id) => void held.delete(Number(id));
  return {
    held,
    [Symbol.dispose]: () => {
      globalThis.setTimeout = set;
      globalThis.clearTimeout = clear;
    },
  };
}

Deno.test("Isolate gives a far side up that does not answer a cancellation", async () => {
  verifies("isolate.cancel_is_a_message");
  using timers = heldTimers();
  using far = await new FarSide().ready();
  const caller = new AbortController();
  const scanning = scan(far.near, caller.signal);
  const { id } = await far.next("scan");
  caller.abort();
  await far.next("cancel");
  const [overdue] = [...timers.held.values()];
  assert.equal(overdue?.ms, 10_000);
  assert.equal(far.hung, 0);
  overdue?.run();
  assert.equal(far.hung, 1);
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await scanning;
});

Deno.test("Isolate waits no longer for a cancellation that was answered", async () => {
  using timers = heldTimers();
  using far = await new FarSide().ready();
  const caller = new AbortController();
  const scanning = scan(far.near, caller.signal);
  const { id } = await far.next("scan");
  caller.abort();
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await scanning;
  assert.equal(timers.held.size, 0);
});

Deno.test("Isolate cancels nothing for a caller who goes after the answer", async () => {
  using timers = heldTimers();
  using far = await new FarSide().ready();
  const caller = new AbortController();
  const scanning = scan(far.near, caller.signal);
  const { id } = await far.next("scan");
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await scanning;
  caller.abort();
  await far.settled();
  assert.equal(far.count("cancel"), 0);
  assert.equal(timers.held.size, 0);
});

Deno.test("Isolate refuses arguments that are too large before they cross", async () => {
  verifies("request.sizes_capped");
  using far = await new FarSide().ready();
  const request = {
    ...REQUEST,
    arguments: { target: "1".repeat(65_536) },
  };
  assert.equal(
    await codeOf(far.near.scan(request, {}, SIGNAL)),
    "payload_too_large",
  );
  await far.settled();
  assert.equal(far.count("scan"), 0);
});

Deno.test("Isolate is drained when the last question is answered", async () => {
  using far = await new FarSide().ready();
  await far.near.drained();
  const scanning = scan(far.near);
  const { id } = await far.next("scan");
  let drained = false;
  const draining = far.near.drained().then(() => drained = true);
  await far.settled();
  assert.equal(drained, false);
  far.say({ kind: "done", id, outcome: outcomeOf() });
  await scanning;
  await draining;
});
