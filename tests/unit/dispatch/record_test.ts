/**
 * What the audit log holds of a call, and that nothing happens that it does not hold.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import type { AuditEntry } from "@/audit/entry.ts";
import { LOCAL } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";
import { SOMEONE } from "../../support/who.ts";
import { outcomeOf, reportOf } from "../isolate/fixtures/far_side.ts";
import { Desk } from "./fixtures/desk.ts";

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
