/**
 * What lasts of a call: its record before it starts, its findings while it runs, keys that make one
 * scan of many calls, answers from earlier scans, and scans that a dead server left in the queue.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import type { Scan } from "@/scans/scan.ts";
import type { HostsReport } from "@/tools/report.ts";
import { GUARDRAILS } from "../tools/nmap_fixture.ts";
import { SOMEONE } from "../../support/who.ts";
import { outcomeOf, reportOf } from "../isolate/fixtures/far_side.ts";
import { codeOf, Desk, RULES, scanOf } from "./fixtures/desk.ts";
import { LOCAL } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";

const TARGET = { target: "127.0.0.1" };

const FOUND: HostsReport = {
  kind: "hosts",
  partial: true,
  hosts: [],
  totals: { up: 1, down: 0, total: null },
  tool_version: null,
};

Deno.test("nothing starts that cannot be recorded", async () => {
  verifies("scans.recorded_first");
  await using desk = await Desk.open();
  desk.scans.fault = new AppError("tool_unavailable", "the disk is full");
  assert.equal(await codeOf(desk.call(TARGET)), "tool_unavailable");
  const background = { ...TARGET, background: true };
  assert.equal(await codeOf(desk.call(background)), "tool_unavailable");
  assert.equal(desk.far().count("scan"), 0);
  assert.deepEqual(desk.permits.stats, { held: 0, waiting: 0 });
  const outcomes = desk.recorded.flatMap((entry) =>
    entry.kind === "decision" ? [entry.outcome] : []
  );
  assert.deepEqual(outcomes, ["refused", "refused"]);
  // And it goes on when it can be recorded again.
  desk.scans.fault = null;
  desk.answerAll();
  assert.equal(scanOf(await desk.call(TARGET)).status, "succeeded");
});

Deno.test("what is found is kept while the scan runs", async () => {
  verifies("scans.findings_kept");
  await using desk = await Desk.open();
  const calling = desk.call(TARGET);
  const { id } = await desk.far().next("scan");
  desk.far().say({ kind: "found", id, report: FOUND });
  await desk.far().settled();
  assert.deepEqual(desk.scans.findings.map(({ report }) => report), [FOUND]);
  desk.far().say({ kind: "done", id, outcome: outcomeOf() });
  await calling;
});

Deno.test("a scan carries its engagement, its tags once and sorted, and its client", async () => {
  verifies("scans.engagement");
  await using desk = await Desk.open();
  desk.answerAll();
  const call = { ...TARGET, engagement: "spring", tags: ["dmz", "a", "dmz"] };
  const { engagement, tags, client } = scanOf(await desk.call(call));
  assert.deepEqual([engagement, tags, client], [
    "spring",
    ["a", "dmz"],
    SOMEONE.client,
  ]);
});

Deno.test("the same key and request give the same scan, another request is a conflict", async () => {
  verifies("scans.idempotency");
  await using desk = await Desk.open();
  desk.answerAll();
  const call = { ...TARGET, ports: "22", idempotency_key: "k-1" };
  const first = scanOf(await desk.call(call));
  const again = { idempotency_key: "k-1", ports: "22", ...TARGET };
  assert.equal(scanOf(await desk.call(again)).id, first.id);
  assert.equal(desk.far().count("scan"), 1);
  const other = desk.call({ ...call, ports: "23" });
  assert.equal(await codeOf(other), "conflict");
  assert.equal(desk.far().count("scan"), 1);
  const rules = desk.recorded.flatMap((entry) =>
    entry.kind === "decision" ? [`${entry.outcome} ${entry.rule}`] : []
  );
  assert.deepEqual(rules, [
    "allowed guardrails",
    "allowed idempotency_key",
    "refused idempotency_key",
  ]);
});

Deno.test("calls with one key at once make one scan, and each gets its end", async () => {
  verifies("scans.idempotency");
  await using desk = await Desk.open();
  const call = { ...TARGET, idempotency_key: "k-1" };
  const calls = [desk.call(call), desk.call(call), desk.call(call)];
  await desk.finish();
  const ids = (await Promise.all(calls)).map((answer) => scanOf(answer).id);
  assert.equal(new Set(ids).size, 1);
  assert.equal(desk.far().count("scan"), 1);
});

Deno.test("a call with a key joins no scan of a call without", async () => {
  await using desk = await Desk.open();
  const calls = [
    desk.call(TARGET),
    desk.call({ ...TARGET, idempotency_key: "k-1" }),
    desk.call({ ...TARGET, engagement: "spring" }),
  ];
  for (const _ of calls) await desk.finish();
  const ids = (await Promise.all(calls)).map((answer) => scanOf(answer).id);
  assert.equal(new Set(ids).size, 3);
});

/** A desk whose cache lasts a minute. */
async function cachingDesk(): Promise<Desk> {
  const desk = await Desk.open();
  desk.rules = rulesOf({ ...RULES, cacheTtlMs: 60_000 });
  desk.answerAll({ status: "succeeded", error: null });
  return desk;
}

Deno.test("an identical request may be answered by an earlier scan, with its age", async () => {
  verifies("cache.marked");
  await using desk = await cachingDesk();
  const first = await desk.call(TARGET);
  assert.equal(first.kind === "scan" && first.cachedSeconds, null);
  desk.now += 5_500;
  const second = await desk.call(TARGET);
  assert.equal(second.kind === "scan" && second.cachedSeconds, 5);
  assert.equal(scanOf(second).id, scanOf(first).id);
  assert.equal(desk.far().count("scan"), 1);
  desk.now += 60_000;
  const third = await desk.call(TARGET);
  assert.notEqual(scanOf(third).id, scanOf(first).id);
});

Deno.test("an answer is not taken from an earlier scan when that is not wanted", async () => {
  verifies("cache.marked");
  const others: readonly Record<string, unknown>[] = [
    { ...TARGET, no_cache: true },
    { ...TARGET, idempotency_key: "k" },
    { ...TARGET, ports: "22" },
  ];
  for (const other of others) {
    await using desk = await cachingDesk();
    await desk.call(TARGET);
    await desk.call(other);
    assert.equal(desk.far().count("scan"), 2, JSON.stringify(other));
  }
  await using off = await Desk.open();
  off.answerAll({ status: "succeeded", error: null });
  await off.call(TARGET);
  await off.call(TARGET);
  assert.equal(off.far().count("scan"), 2);
});

Deno.test("an earlier scan answers no request that is refused now", async () => {
  verifies("cache.judged_anew");
  await using desk = await cachingDesk();
  await desk.call({ target: "10.0.0.7" });
  const scope = { ...RULES.guardrails.scope, deniedSubnets: ["10.0.0.0/8"] };
  desk.rules = rulesOf({
    ...RULES,
    cacheTtlMs: 60_000,
    guardrails: { ...RULES.guardrails, scope },
  });
  const calling = desk.call({ target: "10.0.0.7" });
  assert.equal(await codeOf(calling), "target_not_allowed");
});

/** A scan that a server left in the queue when it died. */
function left(request: Readonly<Record<string, unknown>>): Scan {
  return {
    id: "01arz3ndektsv4rrffq69g5fav",
    tool: "nmap",
    request,
    target: String(request["target"]),
    status: "queued",
    queuedAt: 1,
    startedAt: null,
    finishedAt: null,
    argv: [],
    targets: [],
    scanType: "",
    progress: null,
    report: null,
    error: null,
    notes: [],
    traceId: "a".repeat(32),
    engagement: "spring",
    tags: [],
    client: "an agent 1.0",
    tenant: "default",
    askedBy: null,
    raw: null,
    rawTruncated: false,
  };
}

Deno.test("resume() runs a scan that was queued when its server died", async () => {
  verifies("scans.resumed");
  await using desk = await Desk.open();
  const scan = left(TARGET);
  const resuming = desk.dispatcher.resume(scan);
  await desk.finish();
  const ended = await resuming;
  assert.deepEqual([ended.status, ended.engagement], ["succeeded", "spring"]);
  const who = desk.recorded.find(({ kind }) => kind === "request");
  assert.equal(
    who?.kind === "request" && who.who.client,
    "an agent 1.0 (queued before a restart)",
  );
});

Deno.test("resume() refuses by the rules of today, and the scan says so", async () => {
  verifies("scans.resumed");
  await using desk = await Desk.open();
  const refused = left({ target: "8.8.8.8" });
  await desk.dispatcher.resume(refused);
  const { status, error } = desk.scans.now(refused.id);
  assert.deepEqual([status, error?.code], ["failed", "target_not_allowed"]);
  assert.equal(desk.far().count("scan"), 0);
});

Deno.test("resume() runs nothing in the name of credentials that were taken back", async () => {
  await using desk = await Desk.open();
  desk.revoked.add("key:gone");
  const askedBy = {
    ...{ kind: "key", subject: "key:gone" } as const,
    roles: ["operator"] as const,
    answered: [],
    approval: null,
  };
  const ended = await desk.dispatcher.resume({ ...left(TARGET), askedBy });
  assert.deepEqual([ended.status, ended.error?.code], [
    "failed",
    "unauthenticated",
  ]);
  assert.deepEqual(desk.steps, []);
  const decision = desk.recorded.find(({ kind }) => kind === "decision");
  assert.ok(decision?.kind === "decision" && decision.outcome === "refused");
});

Deno.test("resume() can be cancelled before it starts, and starts nothing in a server that stops", async () => {
  verifies("scans.resumed");
  await using desk = await Desk.open();
  const scan = left({ target: "web.lab.internal" });
  const resuming = desk.dispatcher.resume(scan);
  const { id } = await desk.far().next("resolve");
  const cancelling = desk.dispatcher.cancel(scan.id, SOMEONE, LOCAL);
  await desk.far().next("cancel");
  const error = { code: "cancelled", message: "The look-up was cancelled" };
  desk.far().say({ kind: "refused", id, error });
  assert.equal((await cancelling).status, "cancelled");
  assert.equal((await resuming).status, "cancelled");

  const other = { ...left(TARGET), id: "01arz3ndektsv4rrffq69g5fb0" };
  const stopping = desk.dispatcher.cancelAll();
  // It stays queued: the next server runs it.
  assert.equal((await desk.dispatcher.resume(other)).status, "queued");
  await stopping;
  assert.equal(desk.far().count("scan"), 0);
});

Deno.test("nothing starts of which it cannot be recorded that it runs", async () => {
  verifies("scans.recorded_first");
  await using desk = await Desk.open();
  desk.scans.startFault = new AppError("tool_unavailable", "the disk is full");
  assert.equal(await codeOf(desk.call(TARGET)), "tool_unavailable");
  assert.equal(desk.far().count("scan"), 0);
  assert.deepEqual(desk.permits.stats, { held: 0, waiting: 0 });
  assert.equal(desk.breakers.get("nmap").statistics.failures, 0);
});

Deno.test("a call that joins keeps its scan although the first caller leaves meanwhile", async () => {
  await using desk = await Desk.open();
  const first = new AbortController();
  const leaving = desk.call(TARGET, { signal: first.signal });
  await desk.far().next("scan");
  const { promise, resolve } = Promise.withResolvers<void>();
  desk.auditGate = promise;
  const joining = desk.call(TARGET);
  resolve();
  await desk.far().settled();
  first.abort();
  assert.equal(await codeOf(leaving), "cancelled");
  const ask = desk.far().asks.findLast(({ kind }) => kind === "scan");
  desk.far().say({ kind: "done", id: ask?.id, outcome: outcomeOf() });
  assert.equal(scanOf(await joining).status, "succeeded");
});

Deno.test("neither key nor cache leads from one engagement to another", async () => {
  verifies("scans.engagement");
  await using desk = await cachingDesk();
  const call = { ...TARGET, engagement: "client-a" };
  const first = scanOf(await desk.call(call));
  const other = scanOf(await desk.call({ ...call, engagement: "client-b" }));
  assert.notEqual(other.id, first.id);
  const keyed = { ...call, idempotency_key: "k" };
  await desk.call(keyed);
  const crossing = desk.call({ ...keyed, engagement: "client-b" });
  assert.equal(await codeOf(crossing), "conflict");
});

Deno.test("cancel() refuses a scan that another server runs, and ends one although nothing can be recorded", async () => {
  await using desk = await Desk.open();
  desk.answerCancels();
  const elsewhere = { ...left(TARGET), status: "running" } as const;
  desk.scans.adopt(elsewhere);
  const cancelling = desk.dispatcher.cancel(elsewhere.id, SOMEONE, LOCAL);
  assert.equal(await codeOf(cancelling), "conflict");
  const { id } = scanOf(await desk.call({ ...TARGET, background: true }));
  await desk.far().next("scan");
  desk.auditFault = new AppError("tool_unavailable", "the disk is full");
  const ended = await desk.dispatcher.cancel(id, SOMEONE, LOCAL);
  assert.equal(ended.status, "cancelled");
});

Deno.test("nothing starts after cancelAll()", async () => {
  await using desk = await Desk.open();
  const calling = desk.call({ target: "web.lab.internal", background: true });
  const { id } = await desk.far().next("resolve");
  await desk.dispatcher.cancelAll();
  const addresses = { "web.lab.internal": ["10.0.0.7"] };
  desk.far().say({ kind: "resolved", id, addresses });
  assert.equal(await codeOf(calling), "tool_unavailable");
  assert.equal(desk.far().count("scan"), 0);
});

Deno.test("a request is judged by what its engagement is bound to, by main and by the isolate", async () => {
  verifies("scans.engagement_scope");
  await using desk = await Desk.open();
  const bound = {
    kind: "engagement",
    name: "spring",
    subnets: ["10.1.0.0/16"],
  } as const;
  const scope = { ...GUARDRAILS.scope, bounds: [bound] };
  const guardrails = { ...GUARDRAILS, scope };
  desk.rules = rulesOf({ ...RULES, guardrails });
  const inside = { target: "10.1.0.1", engagement: "spring", tags: ["b"] };
  const outside = { ...inside, target: "10.2.0.1" };
  assert.equal(await codeOf(desk.call(outside)), "target_not_allowed");
  assert.equal(desk.far().count("scan"), 0);
  const decision = desk.recorded.at(-1);
  assert.equal(decision?.kind === "decision" && decision.rule, "scope");
  const calling = desk.call(inside);
  const ask = await desk.far().next("scan");
  assert.deepEqual(ask.kind === "scan" && ask.labels, {
    engagement: "spring",
    tags: ["b"],
    tenant: "default",
  });
  const outcome = outcomeOf({ report: reportOf("10.1.0.1") });
  desk.far().say({ kind: "done", id: ask.id, outcome });
  assert.equal(scanOf(await calling).status, "succeeded");
  // Under no engagement it goes where the server's rules let it.
  desk.answerAll();
  await desk.call({ target: "10.2.0.1" });
  // A scan that waited in the queue when its server died is bound as well.
  const waited = left({ target: "10.2.0.1" });
  const { error } = await desk.dispatcher.resume(waited);
  assert.equal(error?.code, "target_not_allowed");
});

Deno.test("a scan that was queued when its server died is known before its turn, and can be cancelled", async () => {
  verifies("scans.resumed");
  await using desk = await Desk.open();
  const scan = left(TARGET);
  const resuming = desk.dispatcher.resume(
    scan,
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          reject(new AppError("cancelled", "The request was cancelled"));
        });
      }),
  );
  const cancelled = await desk.dispatcher.cancel(scan.id, SOMEONE, LOCAL);
  assert.equal(cancelled.status, "cancelled");
  assert.equal((await resuming).status, "cancelled");
  assert.equal(desk.far().count("scan"), 0);
});
