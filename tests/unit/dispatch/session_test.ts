/**
 * The engine as one caller sees it: nothing of another tenant, nothing that the caller's roles do not
 * reach, and every entry of the audit log says whose it is.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { From } from "@/audit/entry.ts";
import type { Capabilities, Engine } from "@/dispatch/engine.ts";
import { type Core, Session } from "@/dispatch/session.ts";
import { AppError } from "@/error/app_error.ts";
import { LOCAL, type Principal, type Scope } from "@/identity/principal.ts";
import { rulesOf } from "@/dispatch/rules.ts";
import { verifies } from "../../requirements.ts";
import { keyOf } from "../../support/principals.ts";
import { outcomeOf } from "../isolate/fixtures/far_side.ts";
import { GUARDRAILS } from "../tools/nmap_fixture.ts";
import { codeOf, Desk, RULES, scanOf } from "./fixtures/desk.ts";

const TARGET = { target: "127.0.0.1" } as const;

/** Where a call came from; what it calls itself is no proof of anything. */
const FROM: From = {
  client: "says it is root",
  transport: "http",
  address: "192.0.2.7",
};

const RED = keyOf("red", ["operator"], "default");
const BLUE = keyOf("blue", ["operator"], "blue");

/** The engine around a desk, as the composition root binds it; the rest is nobody's. */
function coreOf(desk: Desk, seen: string[] = []): Core {
  const { dispatcher, scans } = desk;
  const none = () => Promise.reject(new Error("nobody asks for this here"));
  return {
    call: (call) => dispatcher.call(call),
    recordReading: (reading) => dispatcher.recordReading(reading),
    scan: (id) => scans.get(id),
    scans: (filter) => scans.list(filter),
    inventoryOf: (tenant) => {
      seen.push(tenant);
      return {
        inventoryHosts: none,
        inventoryServices: none,
        search: none,
      };
    },
    cancel: (id, who, principal) => dispatcher.cancel(id, who, principal),
    approveByUser: async (id, _who, principal) => {
      await desk.approvals.decideByClientUser(id, principal);
    },
    capabilities: none,
    health: none,
    metrics: none,
    vocabulary: { scripts: [], wordlists: [] },
    resultTokensMax: 6_000,
  };
}

function session(desk: Desk, principal: Principal): Session {
  return new Session(coreOf(desk), principal);
}

function call(
  engine: Engine,
  args: Readonly<Record<string, unknown>>,
  signal = new AbortController().signal,
) {
  return engine.call({ who: FROM, tool: "nmap", arguments: args, signal });
}

async function refusal(promise: Promise<unknown>): Promise<AppError> {
  const thrown = await promise.then(() => null, (error: unknown) => error);
  assert.ok(thrown instanceof AppError, `it was not refused: ${thrown}`);
  return thrown;
}

/** Bounds of two tenants, and of engagements and a tag that lie here and there. */
const BOUNDS: Capabilities["guardrails"]["scope"]["bounds"] = [
  {
    kind: "engagement",
    name: "both",
    subnets: ["10.1.5.0/24", "10.2.5.0/24", "10.0.0.0/8"],
  },
  { kind: "engagement", name: "of-red", subnets: ["10.2.9.0/24"] },
  { kind: "tag", name: "web", subnets: ["10.1.0.7", "10.2.0.7"] },
  { kind: "tenant", name: "blue", subnets: ["10.1.0.0/16"] },
  { kind: "tenant", name: "green", subnets: ["10.2.0.0/16"] },
];

/** Who asks, and what of the bounds is shown. */
const SHOWN: readonly (readonly [tenant: string, shown: readonly string[]])[] =
  [
    ["blue", [
      "both 10.1.5.0/24 10.1.0.0/16",
      "web 10.1.0.7",
      "blue 10.1.0.0/16",
    ]],
    ["green", [
      "both 10.2.5.0/24 10.2.0.0/16",
      "of-red 10.2.9.0/24",
      "web 10.2.0.7",
      "green 10.2.0.0/16",
    ]],
    // Bound to nothing: each of them lies in what it may scan.
    ["grey", [
      "both 10.1.5.0/24 10.2.5.0/24 10.0.0.0/8",
      "of-red 10.2.9.0/24",
      "web 10.1.0.7 10.2.0.7",
    ]],
    ["default", [
      "both 10.1.5.0/24 10.2.5.0/24 10.0.0.0/8",
      "of-red 10.2.9.0/24",
      "web 10.1.0.7 10.2.0.7",
      "blue 10.1.0.0/16",
      "green 10.2.0.0/16",
    ]],
  ];

function capable(principal: Principal): Session {
  const capabilities = {
    guardrails: {
      ...GUARDRAILS,
      scope: { ...GUARDRAILS.scope, bounds: BOUNDS },
    },
    sandbox: { mode: "none", reason: null },
    rawSockets: null,
    tools: [],
  } as unknown as Capabilities;
  const core = { capabilities: () => Promise.resolve(capabilities) };
  return new Session(core as unknown as Core, principal);
}

for (const [tenant, shown] of SHOWN) {
  Deno.test(`capabilities() shows the tenant ${tenant} the networks that concern it`, async () => {
    verifies("dispatch.capabilities");
    const engine = capable(keyOf("someone", ["viewer"], tenant));
    const { guardrails } = await engine.capabilities();
    assert.deepEqual(
      guardrails.scope.bounds.map(({ name, subnets }) =>
        [name, ...subnets].join(" ")
      ),
      shown,
    );
  });
}

/** What credentials are narrowed to, and whether they see what may be scanned: as `GET /tools` has it. */
const NARROWED: readonly (readonly [
  scopes: readonly Scope[] | null,
  may: boolean,
])[] = [
  [null, true],
  [["read"], true],
  [["scan:masscan"], true],
  [["approve"], false],
  [["cancel"], false],
  [["admin"], false],
  [[], false],
];

for (const [scopes, may] of NARROWED) {
  Deno.test(`capabilities() asks for a role and a scope: ${scopes ?? "all"}`, async () => {
    verifies("dispatch.capabilities");
    for (const role of ["viewer", "operator", "approver", "admin"] as const) {
      const principal = {
        ...keyOf("someone", [role]),
        scopes: scopes === null ? null : new Set(scopes),
      };
      const asked = capable(principal).capabilities();
      assert.equal(await codeOf(asked), may ? "no error" : "forbidden", role);
    }
    const nobody = capable({ ...keyOf("nobody"), roles: new Set() });
    assert.equal(await codeOf(nobody.capabilities()), "forbidden");
  });
}

/** What takes the id of a scan. */
const BY_ID: readonly (readonly [
  name: string,
  ask: (engine: Engine, id: string) => Promise<unknown>,
])[] = [
  ["scan", (engine, id) => engine.scan(id)],
  ["cancel", (engine, id) => engine.cancel(id, FROM)],
];

/** No scan has it. */
const UNKNOWN = "01arz3ndektsv4rrffq69g5fav";

for (const [name, ask] of BY_ID) {
  Deno.test(`${name}() says of another tenant's scan what it says of none, running and over`, async () => {
    verifies("dispatch.session");
    await using desk = await Desk.open();
    const [red, blue] = [session(desk, RED), session(desk, BLUE)];
    const { id } = scanOf(await call(red, { ...TARGET, background: true }));
    const unknown = await refusal(ask(blue, UNKNOWN));
    const running = await refusal(ask(blue, id));
    const { id: asked } = await desk.far().next("scan");
    assert.equal(desk.far().count("cancel"), 0, "it was cancelled");
    desk.far().say({ kind: "done", id: asked, outcome: outcomeOf() });
    await desk.dispatcher.drain(1_000);
    const over = await refusal(ask(blue, id));
    for (const error of [running, over]) {
      assert.deepEqual(error.toBody(), unknown.toBody());
      assert.equal(error.code, "not_found");
    }
    assert.equal((await red.scan(id)).status, "succeeded");
  });
}

Deno.test("approveByUser() knows no request of another tenant", async () => {
  await using desk = await Desk.open();
  const approval = await desk.approvals.ask({
    principal: RED,
    tool: "nmap",
    target: "127.0.0.1",
    arguments: TARGET,
    digest: "d",
    policies: ["two-persons"],
    demands: ["two-persons@1"],
    byClientUser: true,
  });
  const blue = session(desk, BLUE);
  const unknown = await refusal(blue.approveByUser(`apr_${UNKNOWN}`, FROM));
  const other = await refusal(blue.approveByUser(approval.id, FROM));
  assert.equal(unknown.code, "not_found");
  assert.deepEqual(other.toBody(), {
    code: "not_found",
    message: "Cannot find the request for approval: none of that id is kept",
  });
  await session(desk, RED).approveByUser(approval.id, FROM);
  const decided = await desk.approvals.get(approval.id, "default");
  assert.equal(decided.status, "granted");
});

Deno.test("scans() and inventory are the caller's tenant's, whatever the filter says", async () => {
  verifies("dispatch.session");
  await using desk = await Desk.open();
  desk.answerAll();
  const [red, blue] = [session(desk, RED), session(desk, BLUE)];
  const ids = [];
  for (const engine of [red, blue, red]) {
    ids.push(scanOf(await call(engine, TARGET)).id);
  }
  const shown = async (engine: Engine, filter: object = {}) =>
    (await engine.scans({ limit: 10, ...filter })).map(({ id }) => id).sort();
  assert.deepEqual(await shown(red), [ids[0], ids[2]].sort());
  assert.deepEqual(await shown(blue), [ids[1]]);
  assert.deepEqual(await shown(blue, { tenant: "default" }), [ids[1]]);
  const seen: string[] = [];
  assert.ok(new Session(coreOf(desk, seen), BLUE).inventory);
  assert.deepEqual(seen, ["blue"]);
});

Deno.test("no tenant shares a scan with another: not under way, not by the cache, not by a key", async () => {
  verifies("dispatch.session");
  await using desk = await Desk.open();
  desk.rules = rulesOf({ ...RULES, cacheTtlMs: 60_000 });
  const [red, blue] = [session(desk, RED), session(desk, BLUE)];
  const both = async (args: Readonly<Record<string, unknown>>) => {
    const answers = await Promise.all([call(red, args), call(blue, args)]);
    const [one, other] = answers.map(scanOf);
    assert.notEqual(one?.id, other?.id);
    assert.deepEqual([one?.tenant, other?.tenant], ["default", "blue"]);
  };
  const first = both(TARGET);
  await desk.finish();
  await desk.finish();
  await first;
  desk.answerAll();
  assert.equal(desk.far().count("scan"), 2, "under way");
  const ports = { ...TARGET, ports: "22" };
  await call(red, ports);
  const answer = await call(blue, ports);
  assert.equal(answer.kind === "scan" && answer.cachedSeconds, null, "cached");
  await both({ ...TARGET, idempotency_key: "k" });
  assert.equal(desk.far().count("scan"), 6, "by a key");
});

/** Who may do what with scans, over a scan of the tenant that runs. */
const ROLES: readonly (readonly [
  Principal,
  scan: string,
  plan: string,
  cancel: string,
  read: string,
])[] = [
  [LOCAL, "no error", "no error", "no error", "no error"],
  [keyOf("o"), "no error", "no error", "no error", "no error"],
  [
    keyOf("v", ["viewer"]),
    "forbidden",
    "forbidden",
    "forbidden",
    "no error",
  ],
  [
    keyOf("p", ["approver"]),
    "forbidden",
    "forbidden",
    "forbidden",
    "no error",
  ],
  [keyOf("a", ["admin"]), "forbidden", "forbidden", "forbidden", "no error"],
  [keyOf("n", []), "forbidden", "forbidden", "forbidden", "forbidden"],
  [
    { ...keyOf("s"), scopes: new Set(["read", "scan:masscan"] as const) },
    "forbidden",
    "forbidden",
    "forbidden",
    "no error",
  ],
];

for (const [principal, scan, plan, cancel, read] of ROLES) {
  Deno.test(`${principal.subject} with ${[...principal.roles, ...principal.scopes ?? []].join(", ") || "no role"} may scan: ${scan}, cancel: ${cancel}, read: ${read}`, async () => {
    await using desk = await Desk.open();
    const other = session(desk, RED);
    const { id } = scanOf(await call(other, { ...TARGET, background: true }));
    await desk.far().next("scan");
    desk.answerAll();
    const engine = session(desk, principal);
    const far = desk.far();
    const args = { ...TARGET, ports: "2" };
    assert.equal(await codeOf(call(engine, args)), scan);
    assert.equal(far.count("scan"), scan === "no error" ? 2 : 1);
    const planning = codeOf(call(engine, { ...args, plan: true }));
    if (plan === "no error") {
      const ask = await far.next("plan");
      far.say({ kind: "planned", id: ask.id, plan: PLAN });
    }
    assert.equal(await planning, plan);
    assert.equal(await codeOf(engine.scan(id)), read);
    assert.equal(await codeOf(engine.scans({ limit: 1 })), read);
    // An async function, so that what is thrown at once is told like the rest.
    // deno-lint-ignore require-await
    assert.equal(await codeOf((async () => engine.inventory)()), read);
    desk.answerCancels();
    assert.equal(await codeOf(engine.cancel(id, FROM)), cancel);
    assert.equal(far.count("cancel"), cancel === "no error" ? 1 : 0);
    const refused = desk.recorded.flatMap((entry) =>
      entry.kind === "decision" && entry.outcome === "refused"
        ? [`${entry.operation} ${entry.rule} ${entry.code}`]
        : []
    );
    assert.deepEqual(
      refused,
      scan === "no error" ? [] : [
        "scan role forbidden",
        "plan role forbidden",
        "cancel role forbidden",
      ],
    );
    await engine.recordReading({ who: FROM, tool: "scan_list", arguments: {} });
    const last = desk.recorded.at(-1);
    assert.equal(
      last?.kind === "decision" && last.outcome,
      read === "no error" ? "allowed" : "refused",
    );
    await desk.dispatcher.cancel(
      id,
      { ...FROM, tenant: "", subject: "" },
      LOCAL,
    );
  });
}

Deno.test("every entry of the audit log says whose it is, by the credentials and not by what a client says", async () => {
  await using desk = await Desk.open();
  desk.answerAll();
  const blue = session(desk, BLUE);
  const { id } = scanOf(await call(blue, TARGET));
  await blue.cancel(id, FROM);
  await blue.recordReading({ who: FROM, tool: "scan_list", arguments: {} });
  await codeOf(call(blue, { target: "8.8.8.8" }));
  const kinds = new Set<string>();
  for (const entry of desk.recorded) {
    kinds.add(entry.kind);
    if ("who" in entry) {
      assert.deepEqual(entry.who, {
        client: "the key blue",
        transport: "http",
        address: "192.0.2.7",
        tenant: "blue",
        subject: "key:blue",
      });
    } else assert.equal("tenant" in entry && entry.tenant, "blue", entry.kind);
  }
  assert.deepEqual([...kinds].sort(), ["decision", "request", "scan_ended"]);
  const scan = desk.scans.now(id);
  assert.deepEqual([scan.client, scan.tenant, scan.askedBy?.subject], [
    "the key blue",
    "blue",
    "key:blue",
  ]);
});

/** What a client over HTTP is said to be, and what the audit log calls it. */
const CALLED: readonly (readonly [client: string, called: string])[] = [
  ["an agent 1.0", "the key blue"],
  ["the key blue (an agent 1.0)", "the key blue (an agent 1.0)"],
  ["the key red (an agent 1.0)", "the key blue"],
  ["the key blues", "the key blue"],
  ["", "the key blue"],
];

for (const [client, called] of CALLED) {
  Deno.test(`over HTTP the holder of a key that comes as "${client}" is called "${called}"`, async () => {
    await using desk = await Desk.open();
    const engine = session(desk, BLUE);
    const who = { ...FROM, client };
    await engine.recordReading({ who, tool: "scan_list", arguments: {} });
    const [entry] = desk.recorded;
    assert.equal(entry?.kind === "request" && entry.who.client, called);
  });
}

Deno.test("over stdio a client is called what it calls itself, and its tenant is the house", async () => {
  await using desk = await Desk.open();
  desk.answerAll();
  const who = { client: "an agent 1.0", transport: "stdio", address: null };
  const { signal } = new AbortController();
  await session(desk, LOCAL).call({
    who: who as From,
    tool: "nmap",
    arguments: TARGET,
    signal,
  });
  const [entry] = desk.recorded;
  assert.deepEqual(entry?.kind === "request" && entry.who, {
    ...who,
    tenant: "default",
    subject: "local",
  });
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
