/**
 * The gate of policy: what it asks, what it lets through, what waits for a second person, and what of
 * all that the audit log holds.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Approval } from "@/approvals/approval.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { AppError } from "@/error/app_error.ts";
import type { PolicyDecision } from "@/policy/request.ts";
import type { Scan } from "@/scans/scan.ts";
import { verifies } from "../../requirements.ts";
import { FakePolicy } from "../../support/policy.ts";
import { keyOf } from "../../support/principals.ts";
import { outcomeOf } from "../isolate/fixtures/far_side.ts";
import { codeOf, Desk, RULES, scanOf } from "./fixtures/desk.ts";

const TARGET = { target: "127.0.0.1", ports: "22" } as const;

/** Whoever asks over HTTP. */
const ALICE = {
  principal: keyOf("alice"),
  who: {
    client: "the key alice",
    transport: "http",
    address: "192.0.2.7",
    tenant: "default",
    subject: "key:alice",
  },
} as const;

/** Whoever decides. */
const BOB = keyOf("bob", ["approver"]);

const ALLOW: PolicyDecision = { kind: "allow", policies: ["business-hours"] };

const DENY: PolicyDecision = {
  kind: "deny",
  policies: ["freeze", "no-database"],
};

const ASK: PolicyDecision = {
  kind: "approval",
  policies: ["two-persons"],
  byClientUser: false,
};

/** A desk that lives by a policy, and the policy. */
async function deskUnder(
  says: PolicyDecision,
): Promise<{ desk: Desk; policy: FakePolicy }> {
  const desk = await Desk.open();
  const policy = new FakePolicy(({ approved }) =>
    says.kind === "approval" && approved
      ? { kind: "allow", policies: says.policies }
      : says
  );
  desk.rules = rulesOf({ ...RULES, policy });
  return { desk, policy };
}

/** What the audit log holds of the decisions. */
function decisions(desk: Desk) {
  return desk.recorded.flatMap((entry) =>
    entry.kind === "decision"
      ? [[entry.outcome, entry.rule, ...entry.policies].join(" ")]
      : []
  );
}

/** The error of a call that is refused. */
async function refusal(calling: Promise<unknown>): Promise<AppError> {
  const thrown = await calling.then(() => null, (error: unknown) => error);
  assert.ok(thrown instanceof AppError, String(thrown));
  return thrown;
}

/** Asks for approval of the target's scan and grants it. */
async function grantedId(desk: Desk): Promise<string> {
  const error = await refusal(desk.call(TARGET, ALICE));
  assert.equal(error.code, "approval_required");
  const id = error.approval?.id ?? "";
  await desk.approvals.decide(id, BOB, "grant", null);
  return id;
}

/** All requests for approval, newest first. */
async function asked(desk: Desk): Promise<readonly Approval[]> {
  const filter = { tenant: "default" };
  return (await desk.approvals.list(filter, { limit: 100 })).items;
}

Deno.test("admit() asks policy once, with what the request would do, and who asks from where", async () => {
  verifies("dispatch.gate");
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  desk.answerAll();
  const args = { target: "127.0.0.0/30", ports: "22,80", timing: 3 };
  const labels = { engagement: "spring", tags: ["dmz"] };
  await desk.call({ ...args, ...labels }, ALICE);
  const [{ inScope, ...request } = assert.fail("nothing was asked")] =
    policy.asked;
  assert.deepEqual(request, {
    principal: {
      subject: "key:alice",
      client: "the key alice",
      tenant: "default",
      roles: ["operator"],
    },
    tool: "nmap",
    mode: request.mode,
    networks: ["127.0.0.0/30"],
    names: [],
    engagement: "spring",
    tags: ["dmz"],
    addresses: 4,
    ports: 2,
    rate: 0,
    intrusive: false,
    intrusiveAllowed: false,
    transport: "http",
    source: "192.0.2.7",
    at: 1_000,
    approved: false,
  });
  assert.match(request.mode, /^(?:syn|connect)$/);
  assert.equal(inScope("127.0.0.0/30"), true);
  assert.equal(policy.asked.length, 1);
});

Deno.test("admit() lets through what policy allows, and the record names the policy", async () => {
  verifies("dispatch.gate");
  const { desk } = await deskUnder(ALLOW);
  await using _ = desk;
  desk.answerAll();
  const scan = scanOf(await desk.call(TARGET, ALICE));
  assert.equal(scan.status, "succeeded");
  assert.equal(scan.askedBy?.approved, false);
  assert.deepEqual(decisions(desk), ["allowed guardrails business-hours"]);
  const decision = desk.recorded.find(({ kind }) => kind === "decision");
  assert.equal(
    decision?.kind === "decision" && decision.policyHash,
    "1".repeat(64),
  );
});

const DENIALS: readonly (readonly [
  policies: readonly string[],
  message: string,
  rule: string,
])[] = [
  [
    ["freeze", "no-database"],
    'Cannot scan: policy "freeze", "no-database" forbids it; ask an operator what is allowed',
    "policy freeze no-database",
  ],
  [
    [],
    "Cannot scan: no policy permits it to these credentials; ask an operator, or use credentials with the role operator",
    "policy (none permits it)",
  ],
];

for (const [policies, message, rule] of DENIALS) {
  Deno.test(`admit() refuses with policy_denied by ${rule}, and starts nothing`, async () => {
    verifies("dispatch.gate");
    const { desk } = await deskUnder({ kind: "deny", policies });
    await using _ = desk;
    for (const background of [false, true]) {
      const error = await refusal(desk.call({ ...TARGET, background }, ALICE));
      assert.deepEqual([error.code, error.message], ["policy_denied", message]);
    }
    assert.equal(desk.far().count("scan"), 0);
    assert.deepEqual(desk.scans.newest(), []);
    const said = [`refused ${rule}`, ...policies].join(" ");
    assert.deepEqual(decisions(desk), [said, said]);
  });
}

Deno.test("policy is not asked about what a guardrail refuses, and cannot allow it", async () => {
  verifies("dispatch.gate");
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  const calling = desk.call({ target: "8.8.8.8" }, ALICE);
  assert.equal(await codeOf(calling), "target_not_allowed");
  assert.deepEqual(policy.asked, []);
  assert.deepEqual(decisions(desk), ["refused scope"]);
});

Deno.test("policies that cannot be evaluated allow nothing", async () => {
  verifies("dispatch.gate", "policy.fail_closed");
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  policy.says = () => {
    throw new Error("a fault of the engine");
  };
  const error = await refusal(desk.call(TARGET, ALICE));
  assert.equal(error.code, "internal");
  assert.equal(desk.far().count("scan"), 0);
});

Deno.test("policy judges also what an earlier scan would answer, and what a scan under way would", async () => {
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  desk.rules = rulesOf({ ...RULES, policy, cacheTtlMs: 60_000 });
  const running = desk.call(TARGET, ALICE);
  await desk.far().next("scan");
  policy.says = () => DENY;
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "policy_denied");
  const [ask] = desk.far().asks.filter(({ kind }) => kind === "scan");
  policy.says = () => ALLOW;
  desk.answerAll();
  desk.far().say({ kind: "refused", id: ask?.id, error: FAILED });
  await running;
  await desk.call(TARGET, ALICE);
  policy.says = () => DENY;
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "policy_denied");
});

const FAILED = { code: "tool_failed", message: "x" };

Deno.test("admit() asks for approval once for the same request, with its id, and starts nothing", async () => {
  verifies("dispatch.gate");
  const { desk } = await deskUnder(ASK);
  await using _ = desk;
  const first = await refusal(desk.call(TARGET, ALICE));
  const again = await refusal(
    desk.call({ ports: "22", target: "127.0.0.1" }, ALICE),
  );
  const [approval, ...others] = await asked(desk);
  assert.deepEqual(others, []);
  assert.ok(approval !== undefined);
  const { id, digest: _digest, ...rest } = approval;
  for (const error of [first, again]) {
    assert.equal(error.code, "approval_required");
    assert.equal(
      error.message,
      `Cannot scan yet: a second person has to approve this (${id}, policy two-persons); wait for it, then make the same call again`,
    );
    assert.deepEqual(error.approval, { id, byClientUser: false });
    assert.equal(error.toBody().approval_id, id);
  }
  assert.deepEqual(rest.requester, {
    kind: "key",
    subject: "key:alice",
    client: "the key alice",
    roles: ["operator"],
  });
  assert.deepEqual(
    [rest.status, rest.tenant, rest.tool, rest.target, rest.arguments],
    ["pending", "default", "nmap", "127.0.0.1", TARGET],
  );
  assert.deepEqual(rest.policies, ["two-persons"]);
  assert.equal(desk.far().count("scan"), 0);
  assert.deepEqual(desk.scans.newest(), []);
  assert.deepEqual(
    decisions(desk),
    Array(2).fill("refused policy two-persons two-persons"),
  );
  // Another request, or the same of somebody else, is another question.
  await refusal(desk.call({ ...TARGET, ports: "23" }, ALICE));
  const carol = { ...ALICE, principal: keyOf("carol") };
  await refusal(desk.call(TARGET, carol));
  assert.equal((await asked(desk)).length, 3);
});

Deno.test("a granted approval lets exactly its request through, once, and is used up by its scan", async () => {
  verifies("approvals.digest", "approvals.once");
  const { desk } = await deskUnder(ASK);
  await using _ = desk;
  desk.answerAll();
  const id = await grantedId(desk);
  // Neither another request nor another person gets through by it.
  const others = [
    desk.call({ ...TARGET, ports: "23" }, ALICE),
    desk.call({ ...TARGET, engagement: "spring" }, ALICE),
    desk.call(TARGET, { ...ALICE, principal: keyOf("carol") }),
  ];
  for (const other of others) {
    assert.equal(await codeOf(other), "approval_required");
  }
  const scan = scanOf(await desk.call(TARGET, ALICE));
  assert.deepEqual([scan.status, scan.askedBy?.approved], ["succeeded", true]);
  const used = await desk.approvals.get(id, "default");
  assert.equal(used.scanId, scan.id);
  // The same call again is answered by that scan: one approval, one scan.
  assert.equal(scanOf(await desk.call(TARGET, ALICE)).id, scan.id);
  assert.equal(desk.far().count("scan"), 1);
  assert.deepEqual(decisions(desk).slice(-2), [
    "allowed guardrails two-persons",
    "allowed approval two-persons",
  ]);
  // Once it has expired, the same call is asked about anew.
  desk.now += 3_601_000;
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "approval_required");
});

Deno.test("what a second person denied is refused, and nobody else is asked, until its time is over", async () => {
  const { desk } = await deskUnder(ASK);
  await using _ = desk;
  await refusal(desk.call(TARGET, ALICE));
  const [{ id } = assert.fail("nothing was asked")] = await asked(desk);
  await desk.approvals.decide(id, BOB, "deny", "not now");
  const denied = await refusal(desk.call(TARGET, ALICE));
  assert.equal(denied.code, "policy_denied");
  assert.match(denied.message, /denied by a second person .*: not now/);
  assert.equal((await asked(desk)).length, 1);
  assert.equal(desk.far().count("scan"), 0);
  desk.now += 3_601_000;
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "approval_required");
});

Deno.test("an approval under one policy lets nothing through that another one demands now", async () => {
  const { desk, policy } = await deskUnder(ASK);
  await using _ = desk;
  desk.answerAll();
  const id = await grantedId(desk);
  const policies = ["two-persons", "for-the-database"];
  policy.says = () => ({ kind: "approval", policies, byClientUser: false });
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "approval_required");
  assert.equal(desk.far().count("scan"), 0);
  assert.equal((await desk.approvals.get(id, "default")).scanId, null);
});

Deno.test("an approval whose scan never started, or was cancelled, is asked for again", async () => {
  const { desk } = await deskUnder(ASK);
  await using _ = desk;
  await grantedId(desk);
  desk.scans.startFault = new AppError("tool_unavailable", "the disk is full");
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "tool_unavailable");
  desk.scans.startFault = null;
  await grantedId(desk);
  desk.answerCancels();
  const gone = new AbortController();
  const calling = desk.call(TARGET, { ...ALICE, signal: gone.signal });
  await desk.far().next("scan");
  gone.abort();
  await codeOf(calling);
  for (let turn = 0; turn < 5; turn++) await desk.far().settled();
  assert.equal(await codeOf(desk.call(TARGET, ALICE)), "approval_required");
  assert.equal(desk.far().count("scan"), 1);
});

Deno.test("many calls at once make one scan of one approval", async () => {
  const { desk } = await deskUnder(ASK);
  await using _ = desk;
  desk.answerAll();
  await grantedId(desk);
  const calls = Array.from({ length: 5 }, (_, at) => {
    // A key keeps a call from joining the others.
    const key = at % 2 === 0 ? {} : { idempotency_key: `k-${at}` };
    return desk.call({ ...TARGET, ...key }, ALICE).then(scanOf, () => null);
  });
  const ids = (await Promise.all(calls)).map((scan) => scan?.id ?? null);
  assert.equal(desk.far().count("scan"), 1, ids.join(" "));
});

/** The decision of each kind and what a plan shows of it. */
const VERDICTS: readonly (readonly [
  PolicyDecision,
  allowed: boolean,
  reason: string,
])[] = [
  [ALLOW, true, "allowed by business-hours"],
  [
    DENY,
    false,
    'Cannot scan: policy "freeze", "no-database" forbids it; ask an operator what is allowed',
  ],
  [
    ASK,
    true,
    "needs the approval of a second person (two-persons); the scan's request asks for it",
  ],
];

for (const [decision, allowed, reason] of VERDICTS) {
  Deno.test(`a plan shows what policy would say: ${decision.kind}`, async () => {
    const { desk } = await deskUnder(decision);
    await using _ = desk;
    const calling = desk.call({ ...TARGET, plan: true }, ALICE);
    const { id } = await desk.far().next("plan");
    desk.far().say({ kind: "planned", id, plan: PLAN });
    const answer = await calling;
    assert.ok(answer.kind === "plan");
    const error = { code: "policy_denied", message: reason };
    assert.deepEqual(answer.plan.verdicts.at(-1), {
      guardrail: "policy",
      allowed,
      reason,
      ...allowed ? {} : { error },
    });
    // A plan asks nobody, and is no refusal.
    assert.deepEqual(await asked(desk), []);
    assert.deepEqual(decisions(desk), ["allowed plan"]);
  });
}

Deno.test("a plan that a guardrail refuses is not shown to policy", async () => {
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  const calling = desk.call({ target: "8.8.8.8", plan: true }, ALICE);
  const { id } = await desk.far().next("plan");
  desk.far().say({ kind: "planned", id, plan: PLAN });
  await calling;
  assert.deepEqual(policy.asked, []);
});

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

/** A scan that a server left in the queue when it died. */
function left(approved: boolean): Scan {
  return {
    id: "01arz3ndektsv4rrffq69g5fav",
    tool: "nmap",
    request: TARGET,
    target: "127.0.0.1",
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
    engagement: null,
    tags: [],
    client: "the key alice",
    tenant: "blue",
    askedBy: {
      kind: "key",
      subject: "key:alice",
      roles: ["operator"],
      approved,
    },
    raw: null,
    rawTruncated: false,
  };
}

Deno.test("readmit() judges a scan that waited anew, in the name of whoever asked for it", async () => {
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  desk.answerAll();
  const { status } = await desk.dispatcher.resume(left(false));
  assert.equal(status, "succeeded");
  const [request] = policy.asked;
  assert.deepEqual(request?.principal, {
    subject: "key:alice",
    client: "the key alice",
    tenant: "blue",
    roles: ["operator"],
  });
  const owners = desk.recorded.map((entry) =>
    "who" in entry
      ? `${entry.who.tenant} ${entry.who.subject} ${entry.who.transport}`
      : "tenant" in entry
      ? entry.tenant
      : "nobody"
  );
  assert.deepEqual([...new Set(owners)], ["blue key:alice http", "blue"]);
});

const READMITTED: readonly (readonly [
  PolicyDecision,
  approved: boolean,
  status: string,
  decision: string,
])[] = [
  [ASK, true, "succeeded", "allowed guardrails two-persons"],
  [ASK, false, "failed", "refused policy two-persons two-persons"],
  [
    DENY,
    true,
    "failed",
    "refused policy freeze no-database freeze no-database",
  ],
];

for (const [says, approved, status, decision] of READMITTED) {
  Deno.test(`readmit() of a scan that was ${approved ? "" : "not "}approved under a policy of today that says ${says.kind}: ${status}`, async () => {
    const { desk } = await deskUnder(says);
    await using _ = desk;
    desk.answerAll();
    const ended = await desk.dispatcher.resume(left(approved));
    assert.equal(ended.status, status);
    assert.deepEqual(decisions(desk), [decision]);
    if (status === "failed") assert.equal(ended.error?.code, "policy_denied");
    assert.equal(desk.far().count("scan"), status === "failed" ? 0 : 1);
    assert.deepEqual(await asked(desk), []);
  });
}

/** What changes while a scan waits for its place, what it ends with, and the rule that its record names. */
const LATE: readonly (readonly [
  what: string,
  change: (desk: Desk, policy: FakePolicy) => void,
  code: string | null,
  decision: string,
])[] = [
  [
    "a freeze has begun",
    (_, policy) => policy.says = () => DENY,
    "policy_denied",
    "refused policy freeze no-database freeze no-database",
  ],
  [
    "a second person is demanded",
    (_, policy) => policy.says = () => ASK,
    "policy_denied",
    "refused policy two-persons two-persons",
  ],
  [
    "an operator switched the tool off",
    (desk) => desk.off.add("nmap"),
    "tool_disabled",
    "refused tool_enabled business-hours",
  ],
  ["nothing has changed", () => {}, null, "allowed guardrails business-hours"],
];

for (const [what, change, code, decision] of LATE) {
  Deno.test(`a scan that waited long for its place is judged anew when it has one: ${what}`, async () => {
    const desk = await Desk.open({ permits: 1 });
    await using _ = desk;
    const policy = new FakePolicy(() => ALLOW);
    desk.rules = rulesOf({ ...RULES, policy });
    const first = desk.call(TARGET, ALICE);
    const { id } = await desk.far().next("scan");
    const second = desk.call({ ...TARGET, ports: "23" }, ALICE);
    second.catch(() => {});
    while (decisions(desk).length < 2) await desk.far().settled();
    change(desk, policy);
    desk.now += 3_600_000;
    desk.answerAll();
    desk.far().say({ kind: "done", id, outcome: outcomeOf({}) });
    await first;
    assert.equal(
      await second.then(() => null, (error: AppError) => error.code),
      code,
    );
    assert.equal(desk.far().count("scan"), code === null ? 2 : 1);
    assert.equal(decisions(desk).at(-1), decision);
    assert.equal(
      policy.asked.at(-1)?.at,
      code === "tool_disabled" ? 1_000 : desk.now,
    );
  });
}
