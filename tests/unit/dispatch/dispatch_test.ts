/**
 * One call from top to bottom: what is checked, in which order, what is counted, and who is told.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { isOver } from "@/scans/scan.ts";
import { LOCAL } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";
import {
  FarSide,
  outcomeOf,
  REPORT,
  reportOf,
} from "../isolate/fixtures/far_side.ts";
import { GUARDRAILS } from "../tools/nmap_fixture.ts";
import { codeOf, Desk, RULES, scanOf } from "./fixtures/desk.ts";
import { SOMEONE } from "../../support/who.ts";
import { UNLABELLED } from "../../support/labels.ts";

const TARGET = { target: "127.0.0.1" } as const;

/** What an isolate says of a plan. */
const PLAN = {
  verdicts: [],
  argv: [["nmap", "127.0.0.1"]],
  targets: ["127.0.0.1"],
  addressCount: 1,
  probes: 1,
  seconds: 1,
  scanType: "connect",
  permissions: [],
  timeoutMs: 1_000,
  notes: [],
};

/** Opens the circuit of nmap by hand. */
function openCircuit(desk: Desk): void {
  desk.breakers.get("nmap").forceOpen();
}

Deno.test("a call becomes a scan with everything that the contract names", async () => {
  verifies("dispatch.result_shape");
  await using desk = await Desk.open();
  const calling = desk.call(TARGET, { traceId: "f".repeat(32) });
  const { id } = await desk.far().next("scan");
  const started = {
    argv: [["nmap", "-n", "127.0.0.1"]],
    targets: ["127.0.0.1"],
    scanType: "connect",
  };
  desk.far().say({ kind: "started", id, ...started });
  await desk.far().settled();
  const [running] = desk.scans.newest();
  assert.equal(running?.status, "running");
  assert.deepEqual(running?.argv, started.argv);
  desk.now += 1_500;
  const raw = new Uint8Array([1, 2]);
  const outcome = { status: "succeeded", error: null, report: REPORT };
  desk.far().say({
    kind: "done",
    id,
    outcome: {
      ...outcome,
      ...started,
      blames: "tool",
      notes: ["a note"],
      raw,
      rawTruncated: false,
      cpuSeconds: 0.25,
      stderrTail: "",
    },
  });
  const scan = scanOf(await calling);
  assert.match(scan.id, /^[0-9a-z]{26}$/);
  assert.deepEqual({ ...scan, id: "" }, {
    id: "",
    tool: "nmap",
    request: TARGET,
    target: "127.0.0.1",
    status: "succeeded",
    queuedAt: 1_000,
    startedAt: 1_000,
    finishedAt: 2_500,
    ...started,
    progress: null,
    report: REPORT,
    error: null,
    notes: ["a note"],
    traceId: "f".repeat(32),
    engagement: null,
    tags: [],
    client: "test 1.0.0",
    tenant: "default",
    askedBy: {
      kind: "local",
      subject: "local",
      roles: ["viewer", "operator", "approver", "admin"],
      answered: [],
      approval: null,
    },
    raw,
    rawTruncated: false,
  });
  assert.equal(desk.scans.now(scan.id), scan);
});

Deno.test("a call without a trace gets one", async () => {
  await using desk = await Desk.open();
  desk.answerAll();
  const { traceId } = scanOf(await desk.call(TARGET));
  assert.match(traceId, /^[0-9a-f]{32}$/);
});

/** Each call has the fault that is checked first, and every fault that is checked later. */
const ORDER: readonly (readonly [string, unknown, string])[] = [
  ["nikto", { nonsense: 1, background: 1 }, "tool_not_found"],
  ["masscan", { nonsense: 1, background: 1 }, "tool_disabled"],
  ["nmap", { target: "8.8.8.8", nonsense: 1 }, "circuit_open"],
];

Deno.test("the checks happen in order: tool known, enabled, circuit, arguments, target, guardrails", async () => {
  verifies("dispatch.order");
  await using desk = await Desk.open({ enabled: ["nmap", "gobuster"] });
  openCircuit(desk);
  for (const [tool, args, code] of ORDER) {
    assert.equal(await codeOf(desk.call(args, { tool })), code);
  }
  // None of these came as far as a look at the host or an isolate.
  assert.deepEqual(desk.steps, []);
  desk.breakers.get("nmap").forceClose();
  const call = (args: unknown) => codeOf(desk.call(args));
  assert.equal(
    await call({ target: "8.8.8.8", nonsense: 1 }),
    "invalid_arguments",
  );
  assert.equal(
    await call({ target: "8.8.8.8", timing: 5 }),
    "target_not_allowed",
  );
  assert.equal(await call({ target: "172.16.0.0/12" }), "network_too_large");
  assert.equal(
    await call({ target: "127.0.0.1", timing: 5 }),
    "intrusive_not_allowed",
  );
  assert.deepEqual(desk.steps.filter((step) => step !== "raw sockets"), []);
});

Deno.test("a refused call leaves no scan, holds no place and starts nothing", async () => {
  verifies("injection.nothing_spawned");
  await using desk = await Desk.open();
  for (
    const args of [null, { target: "8.8.8.8" }, { target: "-oN" }, {
      target: 1,
    }]
  ) {
    await assert.rejects(desk.call(args), AppError);
  }
  await desk.far().settled();
  assert.equal(desk.far().count("scan"), 0);
  assert.deepEqual(desk.scans.newest(), []);
  assert.deepEqual(desk.permits.stats, { held: 0, waiting: 0 });
});

Deno.test("main judges by its rules and the isolate by its own: either can refuse", async () => {
  verifies("isolate.checked_twice");
  await using desk = await Desk.open();
  assert.equal(
    await codeOf(desk.call({ target: "8.8.8.8" })),
    "target_not_allowed",
  );
  // The isolate, younger or older than main's rules, refuses what main let through.
  const calling = desk.call(TARGET);
  const { id } = await desk.far().next("scan");
  const error = { code: "target_not_allowed", message: "Cannot scan" };
  desk.far().say({ kind: "refused", id, error });
  const scan = scanOf(await calling);
  assert.deepEqual([scan.status, scan.error?.code], [
    "failed",
    "target_not_allowed",
  ]);
});

Deno.test("names are looked up below an allowed suffix only", async () => {
  verifies("scope.names.suffix", "scope.names.pinned");
  await using desk = await Desk.open();
  for (const target of ["www.example.com", "lab.internal.example.com"]) {
    assert.equal(await codeOf(desk.call({ target })), "target_not_allowed");
  }
  await desk.far().settled();
  assert.equal(desk.far().count("resolve"), 0);

  const addresses = { "web.lab.internal": ["10.0.0.7"] };
  const mixed = desk.call({ target: ["web.lab.internal", "www.example.com"] });
  const first = await desk.far().next("resolve");
  assert.deepEqual(first.names, ["web.lab.internal"]);
  desk.far().say({ kind: "resolved", id: first.id, addresses });
  assert.equal(await codeOf(mixed), "target_not_allowed");
  assert.equal(desk.far().count("scan"), 0);

  const calling = desk.call({ target: "web.lab.internal" });
  const { id } = await desk.far().next("resolve");
  desk.far().say({ kind: "resolved", id, addresses });
  const ask = await desk.far().next("scan");
  assert.deepEqual({ ...ask.resolved }, addresses);
  const outcome = outcomeOf({ report: reportOf("10.0.0.7") });
  desk.far().say({ kind: "done", id: ask.id, outcome });
  assert.equal(scanOf(await calling).status, "succeeded");
});

Deno.test("a name with one address outside of the scope is refused before anything starts", async () => {
  verifies("scope.names.every_address");
  await using desk = await Desk.open();
  const calling = desk.call({ target: "evil.lab.internal" });
  const { id } = await desk.far().next("resolve");
  const addresses = { "evil.lab.internal": ["10.0.0.7", "8.8.8.8"] };
  desk.far().say({ kind: "resolved", id, addresses });
  assert.equal(await codeOf(calling), "target_not_allowed");
  assert.equal(desk.far().count("scan"), 0);
});

Deno.test("plan asks the isolate for a plan, records nothing and starts nothing", async () => {
  verifies("plan.spawns_nothing");
  await using desk = await Desk.open();
  // An open circuit is no hindrance: nothing is called.
  openCircuit(desk);
  const calling = desk.call({ ...TARGET, plan: true });
  const ask = await desk.far().next("plan");
  assert.equal(ask.request, JSON.stringify(TARGET));
  desk.far().say({ kind: "planned", id: ask.id, plan: PLAN });
  const verdict = {
    guardrail: "policy",
    allowed: true,
    reason: "allowed by allow-all",
  };
  assert.deepEqual(await calling, {
    kind: "plan",
    tool: "nmap",
    plan: { ...PLAN, verdicts: [verdict] },
  });
  await desk.far().settled();
  assert.equal(desk.far().count("scan"), 0);
  assert.deepEqual(desk.scans.newest(), []);
  assert.deepEqual(await desk.counted(), {});
});

Deno.test("identical calls share one scan; others do not", async () => {
  verifies("dispatch.joins_identical");
  await using desk = await Desk.open({ permits: 8 });
  const same = [
    desk.call({ target: "127.0.0.1", ports: "80" }),
    desk.call({ ports: "80", target: "127.0.0.1" }),
    desk.call({ target: "127.0.0.1", ports: "80", max_tokens: 600 }),
  ];
  const other = desk.call({ target: "127.0.0.1", ports: "81" });
  desk.answerAll();
  const first = await desk.far().next("scan");
  const second = await desk.far().next("scan");
  assert.notEqual(first.request, second.request);
  // They were asked before the answers were arranged.
  for (const { id } of [first, second]) {
    desk.far().say({ kind: "done", id, outcome: outcomeOf() });
  }
  const ids = (await Promise.all(same)).map((answer) => scanOf(answer).id);
  assert.equal(new Set(ids).size, 1);
  assert.notEqual(scanOf(await other).id, ids[0]);
  assert.equal(desk.far().count("scan"), 2);
  // Once it is over, the same call scans anew.
  const again = scanOf(await desk.call({ target: "127.0.0.1", ports: "80" }));
  assert.notEqual(again.id, ids[0]);
  assert.deepEqual(await desk.counted(), { "succeeded none": 3 });
});

Deno.test("one caller who leaves does not end the scan of the others; the last one does", async () => {
  verifies("dispatch.joins_identical");
  await using desk = await Desk.open();
  const [first, second] = [new AbortController(), new AbortController()];
  const leaving = desk.call(TARGET, { signal: first.signal });
  const staying = desk.call(TARGET, { signal: second.signal });
  await desk.far().next("scan");
  first.abort();
  assert.equal(await codeOf(leaving), "cancelled");
  await desk.far().settled();
  assert.equal(desk.far().count("cancel"), 0);
  desk.answerCancels();
  second.abort();
  assert.equal(scanOf(await staying).status, "cancelled");
  assert.equal(desk.far().count("cancel"), 1);
});

Deno.test("a call that comes while its like is being cancelled starts anew, and both are ended at the end", async () => {
  verifies("dispatch.joins_identical");
  await using desk = await Desk.open();
  const caller = new AbortController();
  const first = desk.call(TARGET, { signal: caller.signal });
  const { id: firstId } = await desk.far().next("scan");
  const [dying] = desk.scans.newest();
  caller.abort();
  await desk.far().next("cancel");
  const second = desk.call(TARGET);
  const { id: secondId } = await desk.far().next("scan");
  // The child of the first still lives: whoever cancels it or stops the server waits for it.
  const cancelling = desk.dispatcher.cancel(dying?.id ?? "", SOMEONE, LOCAL);
  let ended = false;
  const ending = desk.dispatcher.cancelAll().then(() => ended = true);
  await desk.far().next("cancel");
  const outcome = outcomeOf({ status: "cancelled" });
  desk.far().say({ kind: "done", id: secondId, outcome });
  await second;
  await desk.far().settled();
  assert.equal(ended, false, "it did not wait for the first");
  desk.far().say({ kind: "done", id: firstId, outcome });
  await ending;
  assert.ok(isOver(await cancelling));
  await first;
});

Deno.test("a background call is answered at once and outlives its caller", async () => {
  verifies("mcp.background");
  await using desk = await Desk.open();
  const caller = new AbortController();
  const answer = await desk.call(
    { ...TARGET, background: true },
    { signal: caller.signal },
  );
  assert.equal(answer.kind, "accepted");
  const { id } = scanOf(answer);
  assert.equal(isOver(desk.scans.now(id)), false);
  caller.abort();
  const ask = await desk.far().next("scan");
  await desk.far().settled();
  assert.equal(desk.far().count("cancel"), 0);
  desk.far().say({ kind: "done", id: ask.id, outcome: outcomeOf() });
  // Cancelling a scan that is over returns it as it ended; until then it waits for the end.
  const over = await desk.dispatcher.cancel(id, SOMEONE, LOCAL);
  assert.ok(isOver(over));
});

Deno.test("a background call joined by one that leaves goes on", async () => {
  await using desk = await Desk.open();
  const { id } = scanOf(await desk.call({ ...TARGET, background: true }));
  await desk.far().next("scan");
  const caller = new AbortController();
  const joined = desk.call(TARGET, { signal: caller.signal });
  await desk.far().settled();
  caller.abort();
  assert.equal(await codeOf(joined), "cancelled");
  await desk.far().settled();
  assert.equal(desk.far().count("cancel"), 0);
  desk.answerCancels();
  assert.equal(
    (await desk.dispatcher.cancel(id, SOMEONE, LOCAL)).status,
    "cancelled",
  );
});

Deno.test("cancel() ends a scan, tells of one that is over, and of one that never was", async () => {
  await using desk = await Desk.open();
  desk.answerCancels();
  const { id } = scanOf(await desk.call({ ...TARGET, background: true }));
  await desk.far().next("scan");
  const cancelled = await desk.dispatcher.cancel(id, SOMEONE, LOCAL);
  assert.equal(cancelled.status, "cancelled");
  assert.equal(await desk.dispatcher.cancel(id, SOMEONE, LOCAL), cancelled);
  assert.equal(
    await codeOf(desk.dispatcher.cancel("nope", SOMEONE, LOCAL)),
    "not_found",
  );
});

Deno.test("progress reaches every follower and the record", async () => {
  verifies("progress.live");
  await using desk = await Desk.open();
  const heard: (number | null)[] = [];
  const onProgress = ({ percent }: { percent: number | null }) =>
    heard.push(percent);
  const calls = [
    desk.call(TARGET, { onProgress }),
    desk.call(TARGET, { onProgress: (progress) => onProgress(progress) }),
  ];
  const { id } = await desk.far().next("scan");
  const progress = {
    percent: 40,
    remainingSeconds: 3,
    found: 1,
    phase: "SYN scan",
  };
  desk.far().say({ kind: "progress", id, progress });
  await desk.far().settled();
  assert.deepEqual(heard, [40, 40]);
  assert.deepEqual(desk.scans.newest()[0]?.progress, progress);
  desk.far().say({ kind: "done", id, outcome: outcomeOf() });
  const [answer] = await Promise.all(calls);
  assert.equal(answer && scanOf(answer).progress, null);
});

Deno.test("a full queue refuses with queue_full, and places are given back", async () => {
  verifies("permits.bounded_queue");
  await using desk = await Desk.open({ permits: 1, queueMax: 1 });
  const runs = desk.call({ ...TARGET, ports: "1" });
  await desk.far().next("scan");
  const waits = desk.call({ ...TARGET, ports: "2" });
  await desk.far().settled();
  await assert.rejects(desk.call({ ...TARGET, ports: "3" }), (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "queue_full");
    assert.equal(error.retryAfter, 5);
    return true;
  });
  // Another tool has places of its own, but the whole server has not.
  assert.equal(desk.far().count("scan"), 1);
  assert.deepEqual(desk.permits.stats, { held: 1, waiting: 1 });
  desk.answerAll();
  const [ask] = desk.far().asks.filter(({ kind }) => kind === "scan");
  desk.far().say({ kind: "done", id: ask?.id, outcome: outcomeOf() });
  assert.equal(scanOf(await runs).status, "succeeded");
  assert.equal(scanOf(await waits).status, "succeeded");
  assert.deepEqual(desk.permits.stats, { held: 0, waiting: 0 });
  assert.equal(desk.breakers.get("nmap").statistics.failures, 0);
});

Deno.test("a caller who leaves the queue leaves no scan behind that waits", async () => {
  verifies("permits.fair_and_abortable");
  await using desk = await Desk.open({ permits: 1 });
  desk.answerCancels();
  const { id } = scanOf(
    await desk.call({ ...TARGET, ports: "1", background: true }),
  );
  await desk.far().next("scan");
  const caller = new AbortController();
  const waiting = desk.call({ ...TARGET, ports: "2" }, {
    signal: caller.signal,
  });
  for (let turn = 0; turn < 100 && desk.permits.stats.waiting < 1; turn++) {
    await desk.far().settled();
  }
  assert.equal(desk.permits.stats.waiting, 1);
  caller.abort();
  assert.equal(await codeOf(waiting), "cancelled");
  assert.equal(desk.permits.stats.waiting, 0);
  assert.equal(desk.far().count("scan"), 1);
  await desk.dispatcher.cancel(id, SOMEONE, LOCAL);
  assert.equal(desk.scans.alive, 0);
});

/** Scans until something is found out about the breaker. */
async function failuresAfter(
  desk: Desk,
  change: Parameters<Desk["finish"]>[0],
  request: Record<string, unknown> = {},
): Promise<number> {
  const before = desk.breakers.get("nmap").statistics.failures;
  const calling = desk.call({ ...TARGET, ...request });
  await desk.finish(change);
  await calling;
  return desk.breakers.get("nmap").statistics.failures - before;
}

Deno.test("the breaker hears of the tool's faults and of nothing else", async () => {
  verifies("breaker.counts_faults_only");
  await using desk = await Desk.open({ failureThreshold: 100 });
  const error = (
    code: "timeout" | "tool_failed" | "output_limit" | "cancelled",
  ) => ({ code, message: "x" }) as const;
  const failed = { status: "failed", error: error("tool_failed") } as const;
  const late = { status: "timed_out", error: error("timeout") } as const;
  const much = { status: "partial", error: error("output_limit") } as const;
  const gone = { status: "cancelled", error: error("cancelled") } as const;
  assert.equal(await failuresAfter(desk, failed), 1);
  assert.equal(await failuresAfter(desk, late), 1);
  assert.equal(await failuresAfter(desk, much), 0);
  assert.equal(await failuresAfter(desk, gone), 0);
  assert.equal(await failuresAfter(desk, { status: "partial" }), 0);
  assert.equal(await failuresAfter(desk, {}), 0);
  // A deadline that the caller made short speaks of the caller. The default, named, does not.
  assert.equal(await failuresAfter(desk, late, { timeout_seconds: 1 }), 0);
  assert.equal(await failuresAfter(desk, late, { timeout_seconds: 300 }), 1);
  assert.equal(await failuresAfter(desk, late, { timeout_seconds: 900 }), 1);
  assert.equal(await failuresAfter(desk, failed, { timeout_seconds: 1 }), 1);
});

Deno.test("refused requests never reach the breaker, however many", async () => {
  verifies("breaker.counts_faults_only");
  await using desk = await Desk.open({ failureThreshold: 1 });
  const refused = [
    { target: "8.8.8.8" },
    { target: "127.0.0.1", timing: 5 },
    { target: "172.16.0.0/12" },
    { target: "127.0.0.1", extra_args: "-oN /x" },
    {},
  ];
  for (const args of [...refused, ...refused]) {
    await assert.rejects(desk.call(args), AppError);
  }
  // What the isolate refuses says nothing of the tool either.
  const calling = desk.call(TARGET);
  const { id } = await desk.far().next("scan");
  const error = { code: "target_not_allowed", message: "x" };
  desk.far().say({ kind: "refused", id, error });
  await calling;
  const { state, failures } = desk.breakers.get("nmap").statistics;
  assert.deepEqual([state, failures], ["closed", 0]);
});

Deno.test("a crash of the isolate counts against the tool and is told to all in flight", async () => {
  verifies("isolate.crash.answered", "breaker.counts_faults_only");
  await using desk = await Desk.open();
  const calls = [
    desk.call({ ...TARGET, ports: "1" }),
    desk.call({ ...TARGET, ports: "2" }),
  ];
  await desk.far().next("scan");
  await desk.far().next("scan");
  desk.far().near.died("a crash");
  for (const answer of await Promise.all(calls)) {
    const { status, error } = scanOf(answer);
    assert.deepEqual([status, error?.code], ["failed", "tool_unavailable"]);
  }
  assert.equal(desk.breakers.get("nmap").state, "open");
  await assert.rejects(desk.call(TARGET), (thrown) => {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, "circuit_open");
    assert.equal(thrown.retryAfter, 30);
    return true;
  });
});

Deno.test("a half-open circuit lets one call through and refuses the others", async () => {
  verifies("breaker.one_probe");
  await using desk = await Desk.open({ failureThreshold: 1 });
  const failed = {
    status: "failed",
    error: { code: "tool_failed", message: "x" },
  } as const;
  assert.equal(await failuresAfter(desk, failed), 1);
  assert.equal(await codeOf(desk.call(TARGET)), "circuit_open");
  desk.now += 30_000;
  const probe = desk.call({ ...TARGET, ports: "1" });
  const { id } = await desk.far().next("scan");
  await assert.rejects(desk.call({ ...TARGET, ports: "2" }), (thrown) => {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, "circuit_open");
    assert.ok((thrown.retryAfter ?? 0) > 0);
    return true;
  });
  desk.far().say({ kind: "done", id, outcome: outcomeOf() });
  await probe;
  assert.equal(desk.breakers.get("nmap").state, "closed");
});

Deno.test("each execution is counted once, and each refusal once", async () => {
  verifies("metrics.counted_once");
  await using desk = await Desk.open({ permits: 1, queueMax: 0 });
  await desk.call({ target: "8.8.8.8" }).catch(() => {});
  await desk.call({ target: 7 }).catch(() => {});
  const caller = new AbortController();
  const runs = desk.call(TARGET, { signal: caller.signal });
  await desk.far().next("scan");
  // Joined: no execution of its own. Without a place: refused.
  const joined = desk.call(TARGET);
  await desk.call({ ...TARGET, ports: "2" }).catch(() => {});
  await desk.far().settled();
  caller.abort();
  await runs.catch(() => {});
  const [ask] = desk.far().asks.filter(({ kind }) => kind === "scan");
  desk.far().say({ kind: "done", id: ask?.id, outcome: outcomeOf() });
  await joined;
  assert.deepEqual(await desk.counted(), {
    "refused target_not_allowed": 1,
    "refused invalid_arguments": 1,
    "refused queue_full": 1,
    "refused cancelled": 1,
    "succeeded none": 1,
  });
  const { count, success } = desk.metrics.statistics()["nmap"] ?? {};
  assert.deepEqual([count, success], [1, 1]);
  assert.match(
    await desk.metrics.render("prometheus"),
    /^mcp_tool_active\{tool="nmap"\} 0$/m,
  );
});

Deno.test("no name of a client becomes a label", async () => {
  verifies("metrics.bounded_cardinality");
  await using desk = await Desk.open();
  for (let i = 0; i < 50; i++) {
    const calling = desk.call(TARGET, { tool: `evil-${i}` });
    assert.equal(await codeOf(calling), "tool_not_found");
  }
  assert.deepEqual(await desk.counted("unknown"), {
    "refused tool_not_found": 50,
  });
  assert.doesNotMatch(await desk.metrics.render("prometheus"), /evil/);
});

Deno.test("a call lives by the rules that it began under", async () => {
  verifies("config.reload_in_flight");
  await using desk = await Desk.open();
  const calling = desk.call({ target: "web.lab.internal" });
  const { id } = await desk.far().next("resolve");
  // While the name is looked up, a reload takes the whole of 10.0.0.0/8 out of the scope.
  const scope = { ...GUARDRAILS.scope, deniedSubnets: ["10.0.0.0/8"] };
  desk.rules = rulesOf({ ...RULES, guardrails: { ...GUARDRAILS, scope } });
  const addresses = { "web.lab.internal": ["10.0.0.7"] };
  desk.far().say({ kind: "resolved", id, addresses });
  await desk.finish({ report: reportOf("10.0.0.7") });
  assert.equal(scanOf(await calling).status, "succeeded");
  // The next one lives by the new ones.
  assert.equal(
    await codeOf(desk.call({ target: "10.0.0.7" })),
    "target_not_allowed",
  );
});

Deno.test("cancelAll() waits until every scan has ended", async () => {
  await using desk = await Desk.open();
  desk.answerCancels();
  const calls = ["1", "2"].map((ports) => desk.call({ ...TARGET, ports }));
  await desk.far().next("scan");
  await desk.far().next("scan");
  await desk.dispatcher.cancelAll();
  assert.equal(desk.scans.alive, 0);
  for (const answer of await Promise.all(calls)) {
    assert.equal(scanOf(answer).status, "cancelled");
  }
});

Deno.test("what an isolate throws reaches nobody but the log", async () => {
  verifies("error.no_leak");
  await using desk = await Desk.open();
  const calling = desk.call(TARGET);
  const { id } = await desk.far().next("scan");
  const error = { code: "internal", message: "x".repeat(5_000) };
  desk.far().say({ kind: "refused", id, error });
  const scan = scanOf(await calling);
  assert.equal(scan.error?.code, "internal");
  assert.match(scan.error?.message ?? "", /see the server log$/);
});

Deno.test("the log hears of a start and an end, or of a refusal, with the trace", async () => {
  await using desk = await Desk.open();
  desk.answerAll({ stderrTail: "a path", cpuSeconds: 1.25 });
  await desk.call(TARGET, { traceId: "a".repeat(32) });
  await desk.call({ target: "8.8.8.8" }, { traceId: "b".repeat(32) })
    .catch(() => {});
  assert.deepEqual(
    desk.events.map(({ kind, traceId }) => [kind, traceId.charAt(0)]),
    [["started", "a"], ["ended", "a"], ["refused", "b"]],
  );
  assert.equal(desk.events[1]?.detail, "a path");
  assert.deepEqual(
    desk.events.map(({ cpuSeconds }) => cpuSeconds),
    [undefined, 1.25, undefined],
  );
});

Deno.test("FarSide is a far side: the fakes of these tests answer like one", async () => {
  // A canary: a desk whose far side says nothing must not answer by itself.
  using far = await new FarSide().ready();
  const scanning = far.near.scan(
    {
      arguments: {},
      rawSockets: false,
      resolved: new Map(),
      labels: UNLABELLED,
    },
    {},
    new AbortController().signal,
  );
  await far.next("scan");
  far.near.died("the test is over");
  assert.equal(await codeOf(scanning), "tool_unavailable");
});
