/**
 * What is told live of calls and scans: in order, once, to the right tenant; and tools that an
 * operator switched off.
 *
 * @module
 */
import assert from "node:assert/strict";
import { keyOf } from "../../support/principals.ts";
import { verifies } from "../../requirements.ts";
import { SOMEONE } from "../../support/who.ts";
import { outcomeOf, reportOf } from "../isolate/fixtures/far_side.ts";
import { codeOf, Desk, scanOf } from "./fixtures/desk.ts";

const TARGET = { target: "127.0.0.1" } as const;

/** A call of another tenant. */
const BLUE = {
  principal: keyOf("blue", ["operator"], "blue"),
  who: { ...SOMEONE, tenant: "blue", subject: "key:blue" },
} as const;

const PROGRESS = {
  percent: 40,
  remainingSeconds: 3,
  found: 1,
  phase: "SYN scan",
};

Deno.test("a scan's life is told in order, with its state, to its tenant", async () => {
  await using desk = await Desk.open();
  const calling = desk.call(TARGET, BLUE);
  const { id } = await desk.far().next("scan");
  desk.far().say({ kind: "progress", id, progress: PROGRESS });
  const report = { ...reportOf("127.0.0.1"), partial: true };
  desk.far().say({ kind: "found", id, report });
  desk.far().say({ kind: "done", id, outcome: outcomeOf() });
  const scan = scanOf(await calling);
  assert.deepEqual(
    desk.told.map(({ kind, data }) => [kind, data["status"]]),
    [
      ["scan.queued", "queued"],
      ["scan.started", "running"],
      ["scan.progress", "running"],
      ["scan.found", "running"],
      ["scan.ended", "succeeded"],
    ],
  );
  for (const { tenant, scanId, data } of desk.told) {
    assert.deepEqual([tenant, scanId], ["blue", scan.id]);
    assert.deepEqual(
      [data["scan_id"], data["tool"], data["target"]],
      [scan.id, "nmap", "127.0.0.1"],
    );
  }
  assert.deepEqual(desk.told[2]?.data, {
    scan_id: scan.id,
    tool: "nmap",
    target: "127.0.0.1",
    status: "running",
    percent: 40,
    remaining_seconds: 3,
    found: 1,
    phase: "SYN scan",
  });
  assert.equal(desk.told[4]?.data["error"], null);
});

Deno.test("what a scan prints is told while somebody watches, cleaned and below untrusted", async () => {
  verifies("events.output.bounded");
  await using desk = await Desk.open();
  const calling = desk.call(TARGET, BLUE);
  const { id } = await desk.far().next("scan");
  const say = (text: string) =>
    desk.far().say({
      kind: "output",
      id,
      printed: { lines: [{ stream: "stderr", text }], skipped: 2 },
    });
  say("nobody watches");
  desk.far().say({ kind: "progress", id, progress: PROGRESS });
  while (desk.told.at(-1)?.kind !== "scan.progress") {
    await new Promise((done) => setTimeout(done, 0));
  }
  desk.watched = true;
  desk.far().say({ kind: "progress", id, progress: PROGRESS });
  await desk.far().next("watch");
  say("\u001b[31mred\u202e\u0007");
  desk.far().say({ kind: "done", id, outcome: outcomeOf() });
  const scan = scanOf(await calling);
  const told = desk.told.filter(({ kind }) => kind === "scan.output");
  assert.deepEqual(told, [{
    kind: "scan.output",
    tenant: "blue",
    scanId: scan.id,
    data: {
      untrusted: { lines: [{ stream: "stderr", text: "red" }] },
      skipped: 2,
    },
  }]);
});

Deno.test("a scan that is joined is told of once, and one from the cache not again", async () => {
  await using desk = await Desk.open();
  const calls = [desk.call(TARGET), desk.call(TARGET)];
  await desk.finish();
  await Promise.all(calls);
  assert.deepEqual(desk.told.map(({ kind }) => kind), [
    "scan.queued",
    "scan.started",
    // Nothing was found before the end, so all of it is told there.
    "scan.found",
    "scan.ended",
  ]);
});

Deno.test("a refused call is told to its tenant, and no text of the client is in it", async () => {
  await using desk = await Desk.open();
  const traceId = "c".repeat(32);
  await codeOf(desk.call({ target: "8.8.8.8" }, { ...BLUE, traceId }));
  await codeOf(desk.call({ target: "x" }, { ...BLUE, tool: "evil\u001b[2J" }));
  const [refused, unknown, ...rest] = desk.told;
  assert.deepEqual(rest, []);
  assert.equal(refused?.kind, "call.refused");
  assert.deepEqual([refused.tenant, refused.scanId], ["blue", null]);
  const { tool, trace_id, error } = refused.data;
  assert.deepEqual([tool, trace_id], ["nmap", traceId]);
  assert.equal((error as { code: string }).code, "target_not_allowed");
  assert.equal(unknown?.data["tool"], null);
});

Deno.test("a scan that never starts is told of to its end", async () => {
  await using desk = await Desk.open({ permits: 1, queueMax: 0 });
  const runs = desk.call(TARGET);
  await desk.far().next("scan");
  desk.told.length = 0;
  await codeOf(desk.call({ ...TARGET, ports: "2" }));
  assert.deepEqual(desk.told.map(({ kind }) => kind), [
    "scan.queued",
    "call.refused",
    "scan.ended",
  ]);
  assert.equal(new Set(desk.told.map(({ scanId }) => scanId)).size, 1);
  assert.equal(desk.told[2]?.data["status"], "failed");
  const [ask] = desk.far().asks.filter(({ kind }) => kind === "scan");
  desk.far().say({ kind: "done", id: ask?.id, outcome: outcomeOf() });
  await runs;
});

Deno.test("a tool that an operator switched off is refused in every way, and a scan under way goes on", async () => {
  await using desk = await Desk.open();
  const running = desk.call(TARGET);
  await desk.far().next("scan");
  desk.off.add("nmap");
  for (const change of [{}, { plan: true }, { background: true }]) {
    const calling = desk.call({ ...TARGET, ...change });
    await assert.rejects(calling, {
      code: "tool_disabled",
      message: 'Cannot use "nmap": it is switched off by an operator',
    });
  }
  const rules = desk.recorded.flatMap((entry) =>
    entry.kind === "decision" && entry.outcome === "refused" ? [entry.rule] : []
  );
  assert.deepEqual(rules, ["tool_enabled", "tool_enabled", "tool_enabled"]);
  const [ask] = desk.far().asks.filter(({ kind }) => kind === "scan");
  desk.far().say({ kind: "done", id: ask?.id, outcome: outcomeOf() });
  assert.equal(scanOf(await running).status, "succeeded");
  // Another tool is not touched, and on again it scans again.
  desk.off.clear();
  desk.answerAll();
  assert.equal(scanOf(await desk.call(TARGET)).status, "succeeded");
});

Deno.test("a tool that the configuration switched off says where", async () => {
  await using desk = await Desk.open({ enabled: ["masscan"] });
  desk.off.add("nmap");
  await assert.rejects(desk.call(TARGET), {
    code: "tool_disabled",
    message:
      'Cannot use "nmap": it is switched off in the configuration (nmap.enabled)',
  });
});
