/**
 * A tool isolate that fell to a scanned host says to main whatever may end, hang or poison it. Only its
 * own call may suffer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { progressSender } from "@/mcp/progress.ts";
import { summarize } from "@/scans/summary.ts";
import { codeOf, Desk } from "../dispatch/fixtures/desk.ts";
import { outcomeOf, REPORT } from "./fixtures/far_side.ts";

const PROGRESS = { percent: 1, remainingSeconds: null, found: 0, phase: "x" };

/** Outcomes, none of which is one. */
const OUTCOMES: Readonly<Record<string, object>> = {
  "a state that never ends": { status: "running" },
  "an unknown state": { status: "sold" },
  "an unknown error": {
    status: "failed",
    error: { code: "sold", message: "" },
  },
  "an error without a message": {
    status: "failed",
    error: { code: "timeout" },
  },
  "nobody to blame": { blames: "me" },
  "a report without hosts": { report: { ...REPORT, hosts: undefined } },
  "a report of another kind": { report: { ...REPORT, kind: "__proto__" } },
  "a host without ports": { report: { ...REPORT, hosts: [{ address: "a" }] } },
  "a port that is a big integer": {
    report: {
      ...REPORT,
      hosts: [{
        address: "a",
        status: "up",
        ports: [{ port: 1n, protocol: "tcp", state: "open" }],
      }],
    },
  },
  "totals that are none": { report: { ...REPORT, totals: { up: 1n } } },
  "a command line that is none": { argv: 7n },
  "targets that are none": { targets: [1n] },
  "notes that are too long": { notes: ["x".repeat(40_000)] },
  "no processor time": { cpuSeconds: undefined },
  "processor time that is none": { cpuSeconds: NaN },
  "processor time as text": { cpuSeconds: "1" },
  "processor time that is a big integer": { cpuSeconds: 1n },
  "less than no processor time": { cpuSeconds: -1 },
  "endless processor time": { cpuSeconds: Infinity },
  "more processor time than there is": { cpuSeconds: 10_000_001 },
};

/** Progress, none of which is one. */
const PROGRESSES: Readonly<Record<string, object>> = {
  "a big integer": { ...PROGRESS, percent: 1n },
  "not a number": { ...PROGRESS, percent: NaN },
  "a time that is a big integer": { ...PROGRESS, remainingSeconds: 1n },
  "a phase that is none": { ...PROGRESS, phase: { a: 1 } },
  "a phase without end": { ...PROGRESS, phase: "x".repeat(10_000) },
};

async function attack(
  say: (id: number) => object,
): Promise<{ code: string; desk: Desk }> {
  const desk = await Desk.open();
  const sender = progressSender({
    token: 1,
    now: () => 1_000,
    send: () => Promise.resolve(),
  });
  const calling = desk.call({ target: "127.0.0.1" }, {
    onProgress: sender.report,
  });
  const { id } = await desk.far().next("scan");
  desk.far().say({ id, ...say(id) });
  const answer = await calling.catch((error: unknown) =>
    codeOf(Promise.reject(error))
  );
  const code = typeof answer === "string"
    ? answer
    : answer.kind === "scan"
    ? answer.scan.error?.code ?? "no error"
    : answer.kind;
  return { code, desk };
}

for (const [name, progress] of Object.entries(PROGRESSES)) {
  Deno.test(`a progress with ${name} ends its own call alone`, async () => {
    const { code, desk } = await attack(() => ({ kind: "progress", progress }));
    await using _desk = desk;
    assert.equal(code, "internal");
    assert.equal(desk.scans.alive, 0);
  });
}

for (const [name, change] of Object.entries(OUTCOMES)) {
  Deno.test(`an outcome with ${name} ends its own call alone`, async () => {
    const outcome = outcomeOf(change);
    const { code, desk } = await attack(() => ({ kind: "done", outcome }));
    await using _desk = desk;
    assert.equal(code, "internal");
    assert.equal(desk.scans.alive, 0);
    // What is kept of it can be listed.
    for (const scan of desk.scans.newest()) summarize(scan);
  });
}

Deno.test("a plan that is none is answered as a fault", async () => {
  await using desk = await Desk.open();
  const calling = desk.call({ target: "127.0.0.1", plan: true });
  const { id } = await desk.far().next("plan");
  desk.far().say({ kind: "planned", id, plan: { verdicts: 1n } });
  assert.equal(await codeOf(calling), "internal");
});
