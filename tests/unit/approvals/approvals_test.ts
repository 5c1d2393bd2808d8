import assert from "node:assert/strict";
import fc from "fast-check";
import type { AuditEntry } from "@/audit/entry.ts";
import type { Approval } from "@/approvals/approval.ts";
import { type ApprovalQuestion, Approvals } from "@/approvals/approvals.ts";
import { AppError } from "@/error/app_error.ts";
import type { Happening } from "@/events/event.ts";
import type { Principal, Role, Scope } from "@/identity/principal.ts";
import { verifies } from "../../requirements.ts";
import { MemoryRows } from "./memory_rows.ts";

const T0 = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

interface Set_ {
  readonly approvals: Approvals;
  readonly rows: MemoryRows;
  readonly told: Happening[];
  readonly recorded: AuditEntry[];
  now: number;
}

function setUp(
  makers: Readonly<Record<string, string>> = {},
  rows = new MemoryRows(),
): Set_ {
  const told: Happening[] = [];
  const recorded: AuditEntry[] = [];
  const made: Set_ = {
    rows,
    told,
    recorded,
    now: T0,
    approvals: new Approvals({
      rows: () => rows,
      live: { tell: (happening) => void told.push(happening) },
      record: (entry) => Promise.resolve(void recorded.push(entry)),
      expiresSeconds: () => 3_600,
      makerOf: (subject) => Promise.resolve(makers[subject] ?? null),
      wallNow: () => made.now,
      random: (bytes) => void crypto.getRandomValues(bytes),
    }),
  };
  return made;
}

function person(
  subject: string,
  roles: readonly Role[] = ["operator"],
  over: Partial<Principal> = {},
): Principal {
  return {
    kind: "key",
    subject,
    client: `Mx ${subject.slice(4)}`,
    tenant: "a",
    roles: new Set(roles),
    scopes: null,
    ...over,
  };
}

const ALICE = person("key:alice", ["operator", "approver"]);
const BOB = person("key:bob", ["approver"]);

function question(
  principal: Principal = ALICE,
  over: Partial<ApprovalQuestion> = {},
): ApprovalQuestion {
  return {
    principal,
    tool: "nmap",
    target: "10.0.0.0/24",
    arguments: { target: "10.0.0.0/24" },
    digest: "d1",
    policies: ["two-persons"],
    demands: ["two-persons@1"],
    byClientUser: false,
    ...over,
  };
}

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    return thrown.code;
  }
}

const ofAlice = { tenant: "a", subject: "key:alice", digest: "d1" };

Deno.test("ask() gives the same request to the same question, and tells of it once", async () => {
  const { approvals, told } = setUp();
  const all = await Promise.all([1, 2, 3].map(() => approvals.ask(question())));
  assert.equal(new Set(all.map(({ id }) => id)).size, 1);
  assert.match(all[0]?.id ?? "", /^apr_[0-9a-z]{26}$/);
  assert.deepEqual(told.map(({ kind }) => kind), ["approval.requested"]);
  assert.deepEqual(told[0], {
    kind: "approval.requested",
    tenant: "a",
    scanId: null,
    data: {
      approval_id: all[0]?.id,
      status: "pending",
      tool: "nmap",
      target: "10.0.0.0/24",
      requester: "Mx alice",
      policies: ["two-persons"],
      by_client_user: false,
      expires_at: "2026-01-01T01:00:00.000Z",
      decided_by: null,
    },
  });
});

Deno.test("ask() takes whatever differs for another request: digest, subject, tool, target, policy, its words", async () => {
  const { approvals, rows } = setUp();
  await approvals.ask(question());
  for (
    const other of [
      question(ALICE, { digest: "d2" }),
      question(BOB),
      question(ALICE, { tool: "masscan" }),
      question(ALICE, { target: "10.0.1.0/24" }),
      question(ALICE, { policies: ["other"], demands: ["other@1"] }),
      question(ALICE, { demands: ["two-persons@2"] }),
      question(ALICE, { byClientUser: true }),
      question(person("key:alice", ["operator"], { tenant: "b" })),
    ]
  ) await approvals.ask(other);
  assert.equal(rows.rows.size, 9);
});

Deno.test("ask() does not ask again what was denied, to that subject, until the request's time is over", async () => {
  const made = setUp();
  const { approvals, rows } = made;
  const { id } = await approvals.ask(question());
  await approvals.decide(id, BOB, "deny", "not\ntoday");
  await assert.rejects(approvals.ask(question()), {
    code: "policy_denied",
    message:
      `Cannot scan: this request was denied by a second person (${id}), who said: not today; ` +
      "ask them for a way, or make the call again after 2026-01-01T01:00:00.000Z",
  });
  // Other policies that demand it now do not make it another request.
  const policies = ["another"];
  assert.equal(
    await code(approvals.ask(question(ALICE, { policies }))),
    "policy_denied",
  );
  await approvals.ask(question(BOB));
  await approvals.ask(question(ALICE, { digest: "d2" }));
  assert.equal(rows.rows.size, 3);
  made.now += HOUR;
  assert.equal((await approvals.ask(question())).status, "pending");
});

Deno.test("ask() is bounded for a subject and for a tenant; what expired makes room", async () => {
  const made = setUp();
  const { approvals } = made;
  const flood = (subject: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) =>
      code(
        approvals.ask(question(person(subject), { digest: `${subject}${n}` })),
      )));
  const first = await flood("key:s0", 30);
  assert.equal(first.filter((one) => one === "none").length, 25);
  assert.equal(first.filter((one) => one === "quota_exceeded").length, 5);
  for (const subject of ["key:s1", "key:s2", "key:s3"]) {
    await flood(subject, 25);
  }
  assert.equal(await code(approvals.ask(question())), "quota_exceeded");
  const elsewhere = question(person("key:z", ["operator"], { tenant: "b" }));
  assert.equal(await code(approvals.ask(elsewhere)), "none");
  made.now += HOUR;
  assert.equal(await code(approvals.ask(question())), "none");
});

Deno.test("ask() refuses arguments that are too long to be shown", async () => {
  const { approvals } = setUp();
  const long = question(ALICE, { arguments: { target: "x".repeat(70_000) } });
  assert.equal(await code(approvals.ask(long)), "payload_too_large");
});

Deno.test("decide() grants, denies, cleans the note and names who decided", async () => {
  const { approvals, told } = setUp();
  const { id } = await approvals.ask(question());
  const note = "  fine\u001b[31m\u202e\r\nby me ";
  const granted = await approvals.decide(id, BOB, "grant", note);
  assert.equal(granted.status, "granted");
  assert.equal(granted.decidedAt, T0);
  assert.equal(granted.decidedBy, "key:bob (Mx bob)");
  assert.equal(granted.note, "fine\nby me");
  assert.equal(told.at(-1)?.kind, "approval.decided");
  assert.equal(told.at(-1)?.data["status"], "granted");
  const other = await approvals.ask(question(ALICE, { digest: "d2" }));
  const denied = await approvals.decide(other.id, BOB, "deny", "\u200b");
  assert.deepEqual([denied.status, denied.note], ["denied", null]);
  assert.equal(await approvals.granted({ ...ofAlice, digest: "d2" }), null);
});

Deno.test("decide() refuses whoever may not, and tells nobody of a foreign request", async () => {
  verifies("approvals.second_person");
  const scoped = (scopes: Scope[]) =>
    person("key:carol", ["approver"], { scopes: new Set(scopes) });
  for (
    const [by, expected] of [
      [ALICE, "forbidden"],
      [person("key:carol", ["operator"]), "forbidden"],
      [person("key:carol", ["admin", "viewer", "operator"]), "forbidden"],
      [scoped(["read", "admin"]), "forbidden"],
      [person("key:carol", ["approver"], { tenant: "b" }), "not_found"],
      [person("key:carol", ["approver"], { tenant: "default" }), "not_found"],
      // Another client name does not make another subject.
      [{ ...ALICE, client: "bob" }, "forbidden"],
      [scoped(["approve"]), "none"],
    ] as const
  ) {
    const { approvals } = setUp();
    const { id } = await approvals.ask(question());
    const got = await code(approvals.decide(id, by, "grant", null));
    assert.equal(got, expected, `${by.subject} ${by.tenant}`);
  }
});

Deno.test("decide() takes the maker of a key and the key for one", async () => {
  verifies("approvals.second_person");
  const made = setUp({ "key:alice": "key:bob", "key:dora": "key:alice" });
  const { id } = await made.approvals.ask(question());
  const dora = person("key:dora", ["approver"]);
  const erik = person("key:erik", ["approver"]);
  const decide = (by: Principal) =>
    code(made.approvals.decide(id, by, "grant", null));
  assert.equal(await decide(BOB), "forbidden");
  assert.equal(await decide(dora), "forbidden");
  assert.equal(await decide(erik), "none");
});

Deno.test("decide() refuses a chain of makers that has no end", async () => {
  verifies("approvals.second_person");
  const made = setUp({ "key:alice": "key:x", "key:x": "key:alice" });
  const { id } = await made.approvals.ask(question());
  assert.equal(
    await code(made.approvals.decide(id, BOB, "grant", null)),
    "forbidden",
  );
});

Deno.test("decide() refuses ids that are none, and notes that are too long", async () => {
  const { approvals } = setUp();
  const { id } = await approvals.ask(question());
  for (const bad of ["", "apr_", `${id}x`, "../x", "x".repeat(9_999)]) {
    const got = await code(approvals.decide(bad, BOB, "grant", null));
    assert.equal(got, "not_found");
  }
  const long = "x".repeat(501);
  assert.equal(
    await code(approvals.decide(id, BOB, "grant", long)),
    "invalid_arguments",
  );
});

Deno.test("of many who decide at once one does", async () => {
  verifies("approvals.once");
  const { approvals, told } = setUp();
  const { id } = await approvals.ask(question());
  const codes = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      code(approvals.decide(
        id,
        person(`key:p${n}`, ["approver"]),
        n % 2 === 0 ? "grant" : "deny",
        null,
      ))),
  );
  assert.equal(codes.filter((one) => one === "none").length, 1);
  assert.equal(codes.filter((one) => one === "conflict").length, 9);
  assert.equal(
    told.filter(({ kind }) => kind === "approval.decided").length,
    1,
  );
});

Deno.test("decide() comes too late after the expiry, and so does a granted request", async () => {
  verifies("approvals.expiry");
  const made = setUp();
  const { approvals } = made;
  const { id } = await approvals.ask(question());
  made.now = T0 + HOUR;
  assert.equal((await approvals.get(id, "a")).status, "expired");
  assert.equal(
    await code(approvals.decide(id, BOB, "grant", null)),
    "conflict",
  );
  const again = await approvals.ask(question());
  assert.notEqual(again.id, id);
  await approvals.decide(again.id, BOB, "grant", null);
  assert.equal((await approvals.granted(ofAlice))?.id, again.id);
  made.now += HOUR;
  assert.equal(await approvals.granted(ofAlice), null);
  assert.equal(await code(approvals.started(again.id, "s1")), "conflict");
});

Deno.test("a request that is granted at the last moment can be used for a minute", async () => {
  const made = setUp();
  const { approvals } = made;
  const { id } = await approvals.ask(question());
  made.now = T0 + HOUR - 1;
  await approvals.decide(id, BOB, "grant", null);
  made.now = T0 + HOUR + 59_000;
  assert.equal((await approvals.granted(ofAlice))?.id, id);
  made.now = T0 + HOUR + 60_000;
  assert.equal(await approvals.granted(ofAlice), null);
});

Deno.test("granted() is for the same request of the same subject and tenant only", async () => {
  verifies("approvals.digest");
  const { approvals } = setUp();
  const { id } = await approvals.ask(question());
  await approvals.decide(id, BOB, "grant", null);
  for (
    const asked of [
      { ...ofAlice, tenant: "b" },
      { ...ofAlice, subject: "key:bob" },
      { ...ofAlice, digest: "d2" },
      { ...ofAlice, digest: "" },
    ]
  ) assert.equal(await approvals.granted(asked), null);
  assert.equal((await approvals.granted(ofAlice))?.id, id);
});

Deno.test("granted() trusts no rows that give more than was asked for", async () => {
  const made = setUp();
  const { id } = await made.approvals.ask(question());
  await made.approvals.decide(id, BOB, "grant", null);
  made.rows.listApprovals = () =>
    Promise.resolve({ items: [...made.rows.rows.values()], next: null });
  for (
    const asked of [
      { ...ofAlice, tenant: "b" },
      { ...ofAlice, subject: "key:bob" },
      { ...ofAlice, digest: "d2" },
    ]
  ) assert.equal(await made.approvals.granted(asked), null);
});

Deno.test("started() uses a granted request up: one scan comes of it", async () => {
  verifies("approvals.once");
  const { approvals } = setUp();
  const { id } = await approvals.ask(question());
  assert.equal(await code(approvals.started(id, "s1")), "conflict");
  await approvals.decide(id, BOB, "grant", null);
  const codes = await Promise.all(
    ["s1", "s2", "s3"].map((scan) => code(approvals.started(id, scan))),
  );
  assert.deepEqual(codes, ["none", "conflict", "conflict"]);
  assert.equal(await code(approvals.started(id, "s1")), "none");
  // A repeated call is answered with that scan.
  assert.equal((await approvals.granted(ofAlice))?.scanId, "s1");
});

Deno.test("decideByClientUser() is for the requester's own session, where policy lets it", async () => {
  verifies("mcp.approval.elicit");
  const mine = { byClientUser: true };
  for (
    const [asked, by, expected] of [
      [question(ALICE, mine), ALICE, "none"],
      [question(ALICE), ALICE, "forbidden"],
      [question(ALICE, mine), BOB, "forbidden"],
      [question(ALICE, mine), { ...ALICE, tenant: "b" }, "not_found"],
      [question(ALICE, mine), { ...ALICE, kind: "token" }, "forbidden"],
      // It takes no role: the user is the second person, the credentials are the first.
      [question(ALICE, mine), { ...ALICE, roles: new Set() }, "none"],
    ] as const
  ) {
    const { approvals } = setUp();
    const { id } = await approvals.ask(asked);
    const promise = approvals.decideByClientUser(id, by as Principal);
    assert.equal(await code(promise), expected);
  }
});

Deno.test("decideByClientUser() can deny, and leaves its mark", async () => {
  const { approvals } = setUp();
  const { id } = await approvals.ask(question(ALICE, { byClientUser: true }));
  const denied = await approvals.decideByClientUser(id, ALICE, "deny");
  assert.equal(denied.status, "denied");
  assert.equal(denied.decidedBy, "user of key:alice (Mx alice)");
});

Deno.test("list() and get() show a tenant its own", async () => {
  const { approvals } = setUp();
  const { id } = await approvals.ask(question());
  const { items } = await approvals.list({ tenant: "a" }, { limit: 10 });
  assert.deepEqual(items.map((one) => one.id), [id]);
  const foreign = await approvals.list({ tenant: "b" }, { limit: 10 });
  assert.deepEqual(foreign.items, []);
  assert.equal(await code(approvals.get(id, "b")), "not_found");
});

Deno.test("expire() ends what waits too long and tells each once", async () => {
  verifies("approvals.expiry");
  const made = setUp();
  await made.approvals.ask(question());
  await made.approvals.ask(question(ALICE, { digest: "d2" }));
  made.now += HOUR;
  const counts = await Promise.all([
    made.approvals.expire(),
    made.approvals.expire(),
  ]);
  assert.deepEqual(counts, [2, 0]);
  const decided = made.told.filter(({ kind }) => kind === "approval.decided");
  assert.deepEqual(decided.map(({ data }) => data["status"]), [
    "expired",
    "expired",
  ]);
});

Deno.test("an expiry is recorded once, by whichever server and whoever's look ends the wait", async () => {
  verifies("approvals.expiry_recorded");
  const ways: readonly (readonly [
    string,
    (approvals: Approvals, id: string) => Promise<unknown>,
  ])[] = [
    ["the timer", (approvals) => approvals.expire()],
    ["a list", (approvals) => approvals.list({ tenant: "a" }, { limit: 10 })],
    ["a look", (approvals, id) => approvals.get(id, "a")],
    ["the same question", (approvals) => approvals.ask(question())],
    [
      "a decision",
      (approvals, id) => code(approvals.decide(id, BOB, "grant", null)),
    ],
  ];
  for (const [what, look] of ways) {
    const one = setUp();
    const other = setUp({}, one.rows);
    const { id } = await one.approvals.ask(question());
    const { id: foreign } = await other.approvals.ask(
      question(person("key:eve", ["operator"], { tenant: "b" })),
    );
    await one.approvals.expire();
    assert.deepEqual(one.recorded, [], `${what}: it has not expired yet`);
    one.now = other.now = T0 + HOUR;
    await Promise.all([
      look(one.approvals, id),
      look(other.approvals, id),
      one.approvals.expire(),
      other.approvals.expire(),
    ]);
    await look(one.approvals, id);
    const entries = [...one.recorded, ...other.recorded].map((entry) => {
      assert.ok(entry.kind === "approval_expired", entry.kind);
      return [entry.tenant, entry.approvalId, entry.subject];
    });
    assert.deepEqual(
      entries.toSorted(),
      [["a", id, "key:alice"], ["b", foreign, "key:eve"]],
      what,
    );
  }
});

Deno.test("what is only seen to be expired is recorded with all that was asked", async () => {
  verifies("approvals.expiry_recorded");
  const made = setUp();
  const { id } = await made.approvals.ask(question());
  made.now = T0 + HOUR;
  assert.equal((await made.approvals.get(id, "a")).status, "expired");
  assert.deepEqual(made.recorded, [{
    kind: "approval_expired",
    tenant: "a",
    approvalId: id,
    subject: "key:alice",
    tool: "nmap",
    target: "10.0.0.0/24",
    policies: ["two-persons"],
  }]);
  // Another tenant that names it hears nothing, and ends nothing.
  const { id: next } = await made.approvals.ask(question());
  made.now += HOUR;
  assert.equal(await code(made.approvals.get(next, "b")), "not_found");
  assert.equal(made.recorded.length, 1);
});

type Step =
  | { readonly do: "ask"; readonly who: number; readonly what: number }
  | {
    readonly do: "decide";
    readonly who: number;
    readonly at: number;
    readonly grant: boolean;
  }
  | { readonly do: "use"; readonly who: number; readonly what: number }
  | { readonly do: "wait"; readonly ms: number };

const small = fc.integer({ min: 0, max: 2 });
const STEP: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("ask" as const), who: small, what: small }),
  fc.record({
    do: fc.constant("decide" as const),
    who: small,
    at: fc.nat(5),
    grant: fc.boolean(),
  }),
  fc.record({ do: fc.constant("use" as const), who: small, what: small }),
  fc.record({
    do: fc.constant("wait" as const),
    ms: fc.constantFrom(1, 50_000, HOUR / 2, HOUR),
  }),
);

Deno.test("approvals match a model: every scan was approved by another person, in time, once", async () => {
  verifies("approvals.model");
  await fc.assert(
    fc.asyncProperty(
      fc.array(STEP, { maxLength: 60, size: "max" }),
      async (steps) => {
        const made = setUp();
        const people = [0, 1, 2].map((n) =>
          person(`key:p${n}`, ["operator", "approver"])
        );
        /** The model: requests in order, with their own plain life. */
        interface Life {
          readonly approval: Approval;
          readonly who: number;
          readonly what: number;
          grantedAt: number | null;
          isDecided: boolean;
          isDenied: boolean;
          isUsed: boolean;
        }
        const lives: Life[] = [];
        const end = (life: Life) =>
          Math.max(
            life.approval.expiresAt,
            (life.grantedAt ?? -Infinity) + 60_000,
          );
        let scans = 0;
        for (const step of steps) {
          if (step.do === "wait") made.now += step.ms;
          else if (step.do === "ask") {
            const { who, what } = step;
            const principal = people[who];
            assert.ok(principal !== undefined);
            const asked = question(principal, { digest: `d${what}` });
            const open = lives.filter((life) =>
              life.who === who && life.what === what &&
              made.now < life.approval.expiresAt
            );
            if (open.some(({ isDenied }) => isDenied)) {
              const refused = code(made.approvals.ask(asked));
              assert.equal(await refused, "policy_denied");
              continue;
            }
            const approval = await made.approvals.ask(asked);
            const waits = open.find(({ isDecided }) => !isDecided);
            if (waits !== undefined) {
              assert.equal(approval.id, waits.approval.id);
              continue;
            }
            assert.ok(lives.every((life) => life.approval.id !== approval.id));
            lives.push({
              approval,
              who,
              what,
              grantedAt: null,
              isDecided: false,
              isDenied: false,
              isUsed: false,
            });
          } else if (step.do === "decide") {
            const life = lives[step.at];
            const by = people[step.who];
            if (life === undefined || by === undefined) continue;
            const isLate = made.now >= life.approval.expiresAt;
            const expected = life.who === step.who
              ? "forbidden"
              : life.isDecided || isLate
              ? "conflict"
              : "none";
            const what = step.grant ? "grant" : "deny";
            const promise = made.approvals.decide(
              life.approval.id,
              by,
              what,
              null,
            );
            assert.equal(await code(promise), expected);
            if (expected !== "none") continue;
            life.isDecided = true;
            life.isDenied = !step.grant;
            if (step.grant) life.grantedAt = made.now;
          } else {
            const { who, what } = step;
            const found = await made.approvals.granted({
              tenant: "a",
              subject: `key:p${who}`,
              digest: `d${what}`,
            });
            const usable = lives.filter((life) =>
              life.who === who && life.what === what &&
              life.grantedAt !== null && made.now < end(life)
            );
            assert.equal(found !== null, usable.length > 0);
            if (found === null) continue;
            const life = usable.find((one) => one.approval.id === found.id);
            assert.ok(life !== undefined);
            assert.equal(found.scanId !== null, life.isUsed);
            const started = code(
              made.approvals.started(found.id, `s${++scans}`),
            );
            assert.equal(await started, life.isUsed ? "conflict" : "none");
            life.isUsed = true;
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});
