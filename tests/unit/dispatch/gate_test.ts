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
import { parseAskedBy } from "@/store/asked_by.ts";
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

const ASK = {
  kind: "approval",
  policies: ["two-persons"],
  demands: ["two-persons@1"],
  byClientUser: false,
} as const satisfies PolicyDecision;

/** A desk that lives by a policy, and the policy. */
async function deskUnder(
  says: PolicyDecision,
): Promise<{ desk: Desk; policy: FakePolicy }> {
  const desk = await Desk.open();
  const policy = new FakePolicy(() => says);
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
  assert.deepEqual(scan.askedBy?.answered, []);
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
  assert.deepEqual([scan.status, scan.askedBy?.answered], ["succeeded", [
    "two-persons@1",
  ]]);
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

/** Another policy demands an approval besides. */
const ASK_TWICE: PolicyDecision = {
  kind: "approval",
  policies: ["for-the-database", "two-persons"],
  demands: ["for-the-database@1", "two-persons@1"],
  byClientUser: false,
};

/** The same policy in other words. */
const ASK_OTHERWISE: PolicyDecision = { ...ASK, demands: ["two-persons@2"] };

for (
  const [what, says] of [["another policy", ASK_TWICE], [
    "the same policy in other words",
    ASK_OTHERWISE,
  ]] as const
) {
  Deno.test(`an approval lets nothing through that ${what} demands now: a second person is asked anew`, async () => {
    verifies("approvals.policies");
    const { desk, policy } = await deskUnder(ASK);
    await using _ = desk;
    desk.answerAll();
    const id = await grantedId(desk);
    policy.says = () => says;
    const error = await refusal(desk.call(TARGET, ALICE));
    assert.equal(error.code, "approval_required");
    assert.notEqual(error.approval?.id, id);
    assert.equal(desk.far().count("scan"), 0);
    assert.equal((await desk.approvals.get(id, "default")).scanId, null);
  });
}

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
function left(
  answered: readonly string[],
  approval: string | null = null,
): Scan {
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
      answered,
      approval,
    },
    raw: null,
    rawTruncated: false,
  };
}

Deno.test("readmit() judges a scan that waited anew, in the name of whoever asked for it", async () => {
  const { desk, policy } = await deskUnder(ALLOW);
  await using _ = desk;
  desk.answerAll();
  const { status } = await desk.dispatcher.resume(left([]));
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
  answered: readonly string[],
  code: string | null,
  decision: string,
])[] = [
  [ALLOW, [], null, "allowed guardrails business-hours"],
  [ASK, ["two-persons@1"], null, "allowed guardrails two-persons"],
  [
    ASK,
    ["for-the-database@1", "two-persons@1"],
    null,
    "allowed guardrails two-persons",
  ],
  [ASK, [], "approval_required", "refused policy two-persons two-persons"],
  [
    ASK_TWICE,
    ["two-persons@1"],
    "approval_required",
    "refused policy for-the-database two-persons for-the-database two-persons",
  ],
  [
    ASK_OTHERWISE,
    ["two-persons@1"],
    "approval_required",
    "refused policy two-persons two-persons",
  ],
  [
    DENY,
    ["two-persons@1"],
    "policy_denied",
    "refused policy freeze no-database freeze no-database",
  ],
];

for (const [says, answered, code, decision] of READMITTED) {
  const now = says.kind === "approval" ? says.demands.join() : says.kind;
  Deno.test(`readmit() of a scan whose approval answers "${answered}" under policies that now say ${now}: ${code}`, async () => {
    verifies("approvals.policies");
    const { desk } = await deskUnder(says);
    await using _ = desk;
    desk.answerAll();
    const ended = await desk.dispatcher.resume(left(answered));
    assert.equal(ended.status, code === null ? "succeeded" : "failed");
    assert.equal(ended.error?.code ?? null, code);
    assert.deepEqual(decisions(desk), [decision]);
    assert.equal(desk.far().count("scan"), code === null ? 1 : 0);
    // Whoever wanted it may be gone: nobody is asked in their name.
    assert.deepEqual(await asked(desk), []);
  });
}

/** Leaves a scan as a server does that dies before the scan's approval is used up. */
async function leftByDeath(desk: Desk): Promise<Scan> {
  const { approvals, scans } = desk;
  const started = approvals.started.bind(approvals);
  const reached = Promise.withResolvers<void>();
  approvals.started = () => {
    reached.resolve();
    return new Promise(() => {});
  };
  desk.call(TARGET, ALICE).catch(() => {});
  await reached.promise;
  approvals.started = started;
  const [scan = assert.fail("nothing was kept")] = scans.newest();
  // Another server goes on with it: the call above is none of that one's.
  return { ...scan, id: "01arz3ndektsv4rrffq69g5fav" };
}

Deno.test("a scan whose server died before its approval was used up uses it when it goes on: no second one comes of it", async () => {
  verifies("approvals.once");
  const { desk } = await deskUnder(ASK);
  await using _ = desk;
  const id = await grantedId(desk);
  const scan = await leftByDeath(desk);
  assert.equal(scan.askedBy?.approval, id);
  assert.equal((await desk.approvals.get(id, "default")).scanId, null);
  desk.answerAll();
  const ended = await desk.dispatcher.resume(scan);
  assert.equal(ended.status, "succeeded");
  assert.equal((await desk.approvals.get(id, "default")).scanId, scan.id);
  // A key keeps the call from joining another one.
  const again = await desk.call({ ...TARGET, idempotency_key: "k" }, ALICE);
  assert.equal(scanOf(again).id, scan.id);
  assert.equal(desk.far().count("scan"), 1);
});

/** What came of the approval before the scan goes on, and what the scan ends with. */
const USED: readonly (readonly [
  what: string,
  happens: (desk: Desk, id: string, scan: Scan) => Promise<unknown> | void,
  code: string | null,
])[] = [
  [
    "was used by this very scan",
    (desk, id, scan) => desk.approvals.started(id, scan.id),
    null,
  ],
  [
    "was used by another scan",
    (desk, id) => desk.approvals.started(id, "another"),
    "conflict",
  ],
  ["has expired", (desk) => void (desk.now += 3_601_000), "conflict"],
];

for (const [what, happens, code] of USED) {
  Deno.test(`a scan that goes on after its server's death, whose approval ${what}: ${code}`, async () => {
    verifies("approvals.once");
    const { desk } = await deskUnder(ASK);
    await using _ = desk;
    const id = await grantedId(desk);
    const scan = left(ASK.demands, id);
    await happens(desk, id, scan);
    desk.answerAll();
    const ended = await desk.dispatcher.resume(scan);
    assert.equal(ended.error?.code ?? null, code);
    assert.equal(desk.far().count("scan"), code === null ? 1 : 0);
    assert.equal(
      decisions(desk).at(-1),
      code === null
        ? "allowed guardrails two-persons"
        : "refused approval two-persons",
    );
  });
}

for (
  const [says, code] of [[ASK, "approval_required"], [ALLOW, null]] as const
) {
  Deno.test(`a scan that an earlier version left in the queue has no approval: ${says.kind} ends it with ${code}`, async () => {
    verifies("approvals.policies");
    const { desk } = await deskUnder(says);
    await using _ = desk;
    desk.answerAll();
    const askedBy = parseAskedBy(
      '{"kind":"key","subject":"key:alice","roles":["operator"],"approved":true}',
    );
    const ended = await desk.dispatcher.resume({ ...left([]), askedBy });
    assert.equal(ended.error?.code ?? null, code);
    assert.equal(desk.far().count("scan"), code === null ? 1 : 0);
  });
}

Deno.test("a scan that was approved and waited is not covered by that for a policy that came since, and its call asks anew", async () => {
  verifies("approvals.policies");
  const desk = await Desk.open({ permits: 1 });
  await using _ = desk;
  const policy = new FakePolicy(() => ASK);
  desk.rules = rulesOf({ ...RULES, policy });
  const used = await grantedId(desk);
  policy.says = () => ALLOW;
  const running = desk.call({ ...TARGET, ports: "24" }, ALICE);
  const { id } = await desk.far().next("scan");
  policy.says = () => ASK;
  const waiting = refusal(desk.call(TARGET, ALICE));
  while ((await desk.approvals.get(used, "default")).scanId === null) {
    await desk.far().settled();
  }
  policy.says = () => ASK_TWICE;
  desk.now += 60_000;
  desk.answerAll();
  desk.far().say({ kind: "done", id, outcome: outcomeOf({}) });
  await running;
  const error = await waiting;
  assert.deepEqual([error.code, error.message], [
    "approval_required",
    'Cannot scan: while the request waited, policy "for-the-database", "two-persons" came to demand an approval that it does not have; make the call again to ask for it',
  ]);
  assert.equal(desk.far().count("scan"), 1);
  const anew = await refusal(desk.call(TARGET, ALICE));
  assert.equal(anew.code, "approval_required");
  assert.ok(anew.approval !== undefined && anew.approval.id !== used);
});

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
    "approval_required",
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
