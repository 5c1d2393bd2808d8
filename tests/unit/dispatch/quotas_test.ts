/**
 * What a call takes of its tenant's quotas, and what it gives back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { AppError } from "@/error/app_error.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { verifies } from "../../requirements.ts";
import { keyOf } from "../../support/principals.ts";
import { FakePolicy } from "../../support/policy.ts";
import { SOMEONE } from "../../support/who.ts";
import { outcomeOf, reportOf } from "../isolate/fixtures/far_side.ts";
import { codeOf, Desk, RULES, scanOf } from "./fixtures/desk.ts";

const TARGET = { target: "127.0.0.1" } as const;

/** A call of another tenant. */
const BLUE = {
  principal: keyOf("blue", ["operator"], "blue"),
  who: { ...SOMEONE, tenant: "blue", subject: "key:blue" },
} as const;

/** What a tenant used of a quota. */
function used(desk: Desk, name = "scans_per_hour", tenant = "default") {
  return desk.quotas.use(tenant).find((one) => one.name === name)?.used;
}

Deno.test("call() refuses what goes over a quota, records it under the rule quota, and starts nothing", async () => {
  await using desk = await Desk.open({ quotas: { scans_per_hour: 1 } });
  desk.answerAll();
  const first = scanOf(await desk.call(TARGET));
  await assert.rejects(desk.call({ ...TARGET, ports: "2" }), (thrown) => {
    assert.ok(thrown instanceof AppError);
    assert.equal(thrown.code, "quota_exceeded");
    assert.match(thrown.message, /1 of 1 scans .*limits\.scans_per_hour/);
    assert.ok((thrown.retryAfter ?? 0) > 0);
    return true;
  });
  assert.equal(desk.far().count("scan"), 1);
  assert.deepEqual(desk.scans.newest().map(({ id }) => id), [first.id]);
  const decisions = desk.recorded.flatMap((entry) =>
    entry.kind === "decision" ? [`${entry.outcome} ${entry.rule}`] : []
  );
  assert.deepEqual(decisions, ["allowed guardrails", "refused quota"]);
  assert.equal(used(desk), 1);
  assert.deepEqual(await desk.counted(), {
    "succeeded none": 1,
    "refused quota_exceeded": 1,
  });
});

Deno.test("call() counts scans, addresses and masscan's packets for the caller's tenant alone", async () => {
  await using desk = await Desk.open({ quotas: { scans_per_hour: 1 } });
  desk.answerAll();
  // Nothing is sent: the isolate is played.
  desk.answerAll({ report: reportOf("10.0.0.1") }, "masscan");
  await desk.call({ target: "127.0.0.0/30" });
  assert.equal(used(desk), 1);
  assert.equal(used(desk, "targets_per_hour"), 4);
  assert.equal(used(desk, "packets_per_hour"), 0);
  const args = { target: "10.0.0.0/30", ports: "80,443" };
  await desk.call(args, { tool: "masscan", ...BLUE });
  assert.equal(used(desk, "targets_per_hour", "blue"), 4);
  assert.ok((used(desk, "packets_per_hour", "blue") ?? 0) >= 8);
  assert.equal(used(desk, "packets_per_hour"), 0);
  // Nobody is refused for what another tenant used.
  assert.equal(await codeOf(desk.call(TARGET)), "quota_exceeded");
  assert.equal(used(desk), 1);
  assert.equal(used(desk, "scans_per_hour", "blue"), 1);
});

Deno.test("a scan is charged the processor time that it took, and not the time that it waited", async () => {
  verifies("quotas.cpu_seconds");
  await using desk = await Desk.open({ quotas: { cpu_seconds_per_hour: 2 } });
  const scanFor = async (cpuSeconds: number) => {
    const calling = desk.call(TARGET);
    const { id } = await desk.far().next("scan");
    desk.now += 600_000;
    desk.far().say({ kind: "done", id, outcome: outcomeOf({ cpuSeconds }) });
    await calling;
  };
  await scanFor(0.5);
  assert.equal(used(desk, "cpu_seconds_per_hour"), 0.5);
  await scanFor(2.25);
  assert.equal(used(desk, "cpu_seconds_per_hour"), 2.75);
  assert.equal(await codeOf(desk.call(TARGET)), "quota_exceeded");
  assert.match(
    await desk.metrics.render("prometheus"),
    /^mcp_scanner_cpu_seconds_total\{tool="nmap"\} 2\.75$/m,
  );
});

Deno.test("a scan is charged before anybody can see its end", async () => {
  verifies("quotas.cpu_seconds");
  await using desk = await Desk.open({ quotas: { cpu_seconds_per_hour: 2 } });
  desk.answerAll({ cpuSeconds: 1.5 });
  const { scans } = desk;
  const end = scans.end.bind(scans);
  const seen: unknown[] = [];
  scans.end = (id, change) => {
    seen.push(used(desk, "cpu_seconds_per_hour"));
    return end(id, change);
  };
  await desk.call(TARGET);
  assert.deepEqual(seen, [1.5]);
});

Deno.test("a scan whose isolate died is charged the time since its start", async () => {
  verifies("quotas.cpu_seconds");
  await using desk = await Desk.open({ quotas: { cpu_seconds_per_hour: 2 } });
  const calling = desk.call(TARGET);
  const { id } = await desk.far().next("scan");
  desk.now += 2_500;
  const error = { code: "internal", message: "Cannot go on: it died" } as const;
  desk.far().say({ kind: "refused", id, error });
  assert.equal(scanOf(await calling).status, "failed");
  assert.equal(used(desk, "cpu_seconds_per_hour"), 2.5);
  assert.equal(await codeOf(desk.call(TARGET)), "quota_exceeded");
});

Deno.test("calls that share a scan, by joining, by the cache or by a key, are charged for one", async () => {
  verifies("dispatch.quota");
  await using desk = await Desk.open({ quotas: { scans_per_hour: 2 } });
  desk.rules = rulesOf({ ...RULES, cacheTtlMs: 60_000 });
  const calls = [desk.call(TARGET), desk.call(TARGET), desk.call(TARGET)];
  await desk.finish();
  await Promise.all(calls);
  assert.equal(used(desk), 1, "joined");
  const cached = await desk.call(TARGET);
  assert.ok(cached.kind === "scan" && cached.cachedSeconds !== null);
  assert.equal(used(desk), 1, "cached");
  desk.answerAll();
  const keyed = { ...TARGET, idempotency_key: "k" };
  const { id } = scanOf(await desk.call(keyed));
  assert.equal(used(desk), 2);
  // The quota is used up, and still its key gives the scan that it named.
  assert.equal(scanOf(await desk.call(keyed)).id, id);
  assert.equal(used(desk), 2, "by a key");
});

/** Calls that do not become a scan that starts, and why. */
const REFUSED: readonly (readonly [
  what: string,
  prepare: (desk: Desk) => void,
  args: Readonly<Record<string, unknown>>,
  code: string,
])[] = [
  [
    "by a guardrail",
    () => {},
    { target: "8.8.8.8" },
    "target_not_allowed",
  ],
  [
    "by policy",
    (desk) => {
      const policy = new FakePolicy(() => ({ kind: "deny", policies: [] }));
      desk.rules = rulesOf({ ...RULES, policy });
    },
    TARGET,
    "policy_denied",
  ],
  [
    "because it cannot be kept",
    (desk) => desk.scans.fault = full(),
    TARGET,
    "tool_unavailable",
  ],
  [
    "because its decision cannot be recorded",
    (desk) => {
      const push = desk.recorded.push.bind(desk.recorded);
      desk.recorded.push = (...entries) => {
        desk.auditFault = full();
        return push(...entries);
      };
    },
    TARGET,
    "tool_unavailable",
  ],
  [
    "because its start cannot be recorded",
    (desk) => desk.scans.startFault = full(),
    TARGET,
    "tool_unavailable",
  ],
  [
    "by the circuit, after it was let in",
    (desk) => {
      const started = desk.told.push.bind(desk.told);
      desk.told.push = (...events) => {
        if (events.some(({ kind }) => kind === "scan.queued")) {
          desk.breakers.get("nmap").forceOpen();
        }
        return started(...events);
      };
    },
    TARGET,
    "circuit_open",
  ],
];

function full(): AppError {
  return new AppError("tool_unavailable", "the disk is full");
}

for (const [what, prepare, args, code] of REFUSED) {
  Deno.test(`a call that is refused ${what} takes nothing of a quota`, async () => {
    verifies("dispatch.quota");
    await using desk = await Desk.open({ quotas: { scans_per_hour: 5 } });
    prepare(desk);
    for (const background of [false, true]) {
      const calling = desk.call({ ...args, background });
      const ended = await codeOf(calling);
      if (!background) assert.equal(ended, code);
      // The end of what went on in the background.
      for (let turn = 0; turn < 10; turn++) await desk.far().settled();
    }
    assert.equal(used(desk), 0);
    assert.equal(used(desk, "targets_per_hour"), 0);
    assert.equal(desk.far().count("scan"), 0);
  });
}

Deno.test("a scan that finds the queue full gives back what was reserved for it", async () => {
  await using desk = await Desk.open({
    permits: 1,
    queueMax: 0,
    quotas: { scans_per_hour: 3 },
  });
  const runs = desk.call(TARGET);
  await desk.far().next("scan");
  for (let turn = 0; turn < 5; turn++) {
    const ports = String(turn + 1);
    assert.equal(await codeOf(desk.call({ ...TARGET, ports })), "queue_full");
  }
  assert.equal(used(desk), 1);
  const [ask] = desk.far().asks.filter(({ kind }) => kind === "scan");
  desk.far().say({ kind: "done", id: ask?.id, outcome: outcomeOf() });
  await runs;
  assert.equal(used(desk), 1);
});

Deno.test("many calls at once get no more than the quota holds, and waiting scans count", async () => {
  await using desk = await Desk.open({
    permits: 1,
    queueMax: 64,
    quotas: { scans_per_hour: 3 },
  });
  desk.answerAll();
  const calls = Array.from(
    { length: 20 },
    (_, at) => codeOf(desk.call({ ...TARGET, ports: String(at + 1) })),
  );
  const codes = await Promise.all(calls);
  assert.equal(codes.filter((code) => code === "no error").length, 3);
  assert.equal(codes.filter((code) => code === "quota_exceeded").length, 17);
  assert.equal(used(desk), 3);
});

Deno.test("a plan takes nothing of a quota", async () => {
  await using desk = await Desk.open({ quotas: { scans_per_hour: 1 } });
  const calling = desk.call({ ...TARGET, plan: true });
  const { id } = await desk.far().next("plan");
  desk.far().say({
    kind: "refused",
    id,
    error: { code: "internal", message: "x" },
  });
  await calling.catch(() => {});
  assert.equal(used(desk), 0);
});
