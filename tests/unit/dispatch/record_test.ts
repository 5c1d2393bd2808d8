/**
 * What the audit log holds of a call, and that nothing happens that it does not hold.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import type { AuditEntry } from "@/audit/entry.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { LOCAL } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";
import { FakePolicy } from "../../support/policy.ts";
import { SOMEONE } from "../../support/who.ts";
import { outcomeOf, reportOf } from "../isolate/fixtures/far_side.ts";
import { Desk, RULES } from "./fixtures/desk.ts";

const FULL = new AppError(
  "tool_unavailable",
  "Cannot record the request: the disk is full",
);

function lines(entries: readonly AuditEntry[]): string[] {
  return entries.map((entry) => {
    if (entry.kind === "decision") {
      return `decision ${entry.operation} ${entry.outcome} ${entry.rule}`;
    }
    return entry.kind === "scan_ended"
      ? `scan_ended ${entry.status}`
      : entry.kind;
  });
}

Deno.test("call() names the guardrail that refuses to the caller as it does in the record", async () => {
  verifies("error.guardrail");
  const cases = [
    [{ target: "8.8.8.8" }, "scope"],
    [{ target: "172.16.0.0/12" }, "network_size"],
    [{ target: "127.0.0.1", timing: 5 }, "intrusive"],
  ] as const;
  await using desk = await Desk.open();
  for (const [args, guardrail] of cases) {
    await assert.rejects(desk.call(args), { guardrail });
    assert.equal(
      lines(desk.recorded).at(-1),
      `decision scan refused ${guardrail}`,
    );
  }
  const policy = new FakePolicy(() => ({ kind: "deny", policies: ["p"] }));
  desk.rules = rulesOf({ ...RULES, policy });
  await assert.rejects(desk.call({ target: "127.0.0.1" }), {
    code: "policy_denied",
    guardrail: undefined,
    message: /policy "p" forbids it/,
  });
});

Deno.test("call() records who asked for what and that it was allowed before the scan starts", async () => {
  verifies("audit.every_call");
  await using desk = await Desk.open();
  const args = { target: "10.0.0.1", ports: "22" };
  const calling = desk.call(args, { traceId: "ab".repeat(16) });
  const { id } = await desk.far().next("scan");
  assert.deepEqual(lines(desk.recorded), [
    "request",
    "decision scan allowed guardrails",
  ]);
  const [request, decision] = desk.recorded;
  const [scan] = desk.scans.newest();
  assert.deepEqual(request, {
    kind: "request",
    who: SOMEONE,
    operation: "scan",
    tool: "nmap",
    traceId: "ab".repeat(16),
    arguments: args,
  });
  assert.deepEqual(decision, {
    kind: "decision",
    who: SOMEONE,
    operation: "scan",
    tool: "nmap",
    traceId: "ab".repeat(16),
    configHash: "c0ffee",
    labels: null,
    policyHash: "0".repeat(64),
    policies: ["allow-all"],
    outcome: "allowed",
    rule: "guardrails",
    target: "10.0.0.1",
    scanId: scan?.id,
    code: null,
    message: null,
  });
  desk.far().say({
    kind: "started",
    id,
    argv: [["nmap"]],
    targets: ["10.0.0.1"],
    scanType: "connect",
  });
  desk.far().say({
    kind: "done",
    id,
    outcome: outcomeOf({ report: reportOf("10.0.0.1") }),
  });
  await calling;
  assert.deepEqual(lines(desk.recorded).slice(2), [
    "scan_started",
    "scan_ended succeeded",
  ]);
});

const REFUSALS: readonly (readonly [
  args: unknown,
  tool: string,
  rule: string,
])[] = [
  [{ target: "8.8.8.8", ports: "22" }, "nmap", "scope"],
  [{ target: "10.1.0.0/16", ports: "22" }, "nmap", "network_size"],
  [{ target: "10.0.0.1", ports: "x" }, "nmap", "arguments"],
  [{ target: "10.0.0.1" }, "nikto", "tool_known"],
];

for (const [args, tool, rule] of REFUSALS) {
  Deno.test(`call() records that the rule ${rule} refused ${JSON.stringify(args)} for ${tool}`, async () => {
    verifies("audit.every_call");
    await using desk = await Desk.open();
    await assert.rejects(desk.call(args, { tool }));
    assert.deepEqual(lines(desk.recorded), [
      "request",
      `decision scan refused ${rule}`,
    ]);
  });
}

Deno.test("call() does nothing that cannot be recorded", async () => {
  verifies("audit.fail_closed");
  await using desk = await Desk.open();
  desk.auditFault = FULL;
  await assert.rejects(desk.call({ target: "10.0.0.1" }), FULL);
  assert.deepEqual(desk.steps, []);
  assert.equal(desk.scans.newest().length, 0);
});

Deno.test("call() looks no name up, asks no second person and keeps no scan before its request is on record", async () => {
  verifies("audit.fail_closed");
  for (const kind of ["allow", "approval"] as const) {
    for (const target of ["web.lab.internal", "10.0.0.1"]) {
      await using desk = await Desk.open({ rawSocketsKnown: true });
      const policy = new FakePolicy(() => ({
        ...{ kind, policies: ["p"], demands: ["p"], byClientUser: false },
      }));
      desk.rules = rulesOf({ ...RULES, policy });
      desk.auditFault = FULL;
      await assert.rejects(desk.call({ target, ports: "22" }), FULL);
      assert.deepEqual(desk.steps.filter((step) => step !== "raw sockets"), []);
      const filter = { tenant: "default" };
      const asked = await desk.approvals.list(filter, { limit: 1 });
      assert.deepEqual(asked.items, []);
      assert.equal(desk.scans.newest().length, 0);
    }
  }
});

Deno.test("call() gives request and refusal to the disk at once, and answers when both are there", async () => {
  verifies("audit.every_call");
  await using desk = await Desk.open({ rawSocketsKnown: true });
  const disk = Promise.withResolvers<void>();
  desk.auditGate = disk.promise;
  let answered = false;
  const calling = desk.call({ target: "8.8.8.8", ports: "22" })
    .finally(() => answered = true);
  calling.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(lines(desk.recorded), [
    "request",
    "decision scan refused scope",
  ]);
  assert.equal(answered, false);
  disk.resolve();
  await assert.rejects(calling, { code: "target_not_allowed" });
});

Deno.test("call() answers no refusal by a quota that is not on record, in the background neither", async () => {
  verifies("audit.fail_closed");
  const quotas = { scans_per_hour: 1 };
  await using desk = await Desk.open({ quotas, rawSocketsKnown: true });
  desk.answerAll();
  await desk.call({ target: "127.0.0.1", ports: "1" });
  desk.auditFault = FULL;
  for (const background of [false, true]) {
    const again = { target: "127.0.0.1", ports: "2", background };
    await assert.rejects(desk.call(again), FULL);
  }
});

Deno.test("call() tells nobody live of a refusal before it is on record", async () => {
  verifies("audit.every_call");
  await using desk = await Desk.open({ rawSocketsKnown: true });
  const disk = Promise.withResolvers<void>();
  desk.auditGate = disk.promise;
  const calling = desk.call({ target: "8.8.8.8", ports: "22" });
  calling.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(desk.told, []);
  disk.resolve();
  await assert.rejects(calling, { code: "target_not_allowed" });
  assert.deepEqual(desk.told.map(({ kind }) => kind), ["call.refused"]);
});

Deno.test("call() starts nothing when the disk fills up between request and decision", async () => {
  verifies("audit.fail_closed");
  await using desk = await Desk.open();
  const { recorded } = desk;
  const push = recorded.push.bind(recorded);
  recorded.push = (...entries) => {
    desk.auditFault = FULL;
    return push(...entries);
  };
  await assert.rejects(
    desk.call({ target: "10.0.0.1" }),
    { code: "tool_unavailable", message: FULL.message },
  );
  assert.equal(desk.far().count("scan"), 0);
  assert.deepEqual(lines(recorded), ["request"]);
  assert.ok(desk.events.some(({ kind }) => kind === "unrecorded"));
});

Deno.test("cancel() records who ended which scan", async () => {
  verifies("audit.every_call");
  await using desk = await Desk.open();
  await assert.rejects(desk.dispatcher.cancel("none", SOMEONE, LOCAL));
  assert.deepEqual(lines(desk.recorded), [
    "request",
    "decision cancel refused scan_known",
  ]);
});

Deno.test("recordReading() records who looked at what, and hides nothing that cannot be recorded", async () => {
  verifies("audit.reads");
  await using desk = await Desk.open();
  const reading = {
    who: SOMEONE,
    tool: "scan_results",
    arguments: { scan_id: "a" },
    principal: LOCAL,
  };
  await desk.dispatcher.recordReading(reading);
  const seen = desk.recorded.map((entry) =>
    entry.kind === "request"
      ? [entry.operation, entry.tool, entry.arguments]
      : entry.kind === "decision"
      ? [entry.outcome, entry.rule]
      : [entry.kind]
  );
  assert.deepEqual(seen, [
    ["read", "scan_results", { scan_id: "a" }],
    ["allowed", "read"],
  ]);
  desk.auditFault = new AppError("tool_unavailable", "the disk is full");
  await desk.dispatcher.recordReading(reading);
  assert.equal(desk.events.at(-1)?.kind, "unrecorded");
});
