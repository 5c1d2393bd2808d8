import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCaseRequest } from "@/policy/cases.ts";
import type { PolicyDecision } from "@/policy/request.ts";
import { verifies } from "../../requirements.ts";
import { decision, DEFAULTS, OPERATORS, policiesOf } from "./support.ts";

Deno.test("decide() denies what nothing permits", async () => {
  verifies("policy.default_deny");
  const policies = await policiesOf();
  assert.deepEqual(await decision(policies, { target: "127.0.0.1" }), {
    kind: "deny",
    policies: [],
  });
});

Deno.test("decide() lets a forbid win over every permit", async () => {
  verifies("policy.default_deny");
  const policies = await policiesOf(
    OPERATORS,
    `@id("no") forbid (principal, action in Action::"nmap", resource);`,
  );
  assert.deepEqual(await decision(policies, { target: "127.0.0.1" }), {
    kind: "deny",
    policies: ["no"],
  });
  assert.deepEqual(
    await decision(policies, { tool: "masscan", target: "127.0.0.1" }),
    { kind: "allow", policies: ["operators"] },
  );
});

Deno.test("decide() finds a forbidden network within a larger one", async () => {
  verifies("policy.within");
  const policies = await policiesOf(
    OPERATORS,
    `@id("hole") forbid (principal, action, resource)
     when { resource has network && resource.network.isInRange(ip("10.0.5.0/24")) };
     @id("host") forbid (principal, action, resource)
     when { resource has network && resource.network == ip("10.9.9.9") };`,
  );
  const table: [string | string[], string[]][] = [
    ["10.0.5.7", ["hole"]],
    ["10.0.5.0/24", ["hole"]],
    ["10.0.0.0/16", ["hole"]],
    ["0.0.0.0/0", ["hole"]],
    ["10.0.5.250-251", ["hole"]],
    [["10.0.4.0/24", "10.0.5.255"], ["hole"]],
    ["10.9.9.9", ["host"]],
    ["10.9.9.0-20", ["host"]],
    ["10.9.0.0/16", ["host"]],
    ["10.0.4.0/24", []],
    ["10.9.9.8", []],
    ["fd00::/8", []],
  ];
  for (const [target, forbidden] of table) {
    assert.deepEqual(
      await decision(policies, { target }),
      forbidden.length === 0
        ? { kind: "allow", policies: ["operators"] }
        : { kind: "deny", policies: forbidden },
      String(target),
    );
  }
});

Deno.test("decide() judges a network as it judges each address in it", async () => {
  verifies("policy.within");
  const policies = await policiesOf(
    `@id("in") permit (principal, action, resource)
     when { resource has network && resource.network.isInRange(ip("10.0.0.0/28")) };
     @id("out") forbid (principal, action, resource)
     when { resource has network && resource.network.isInRange(ip("10.0.0.4/30")) }
     unless { resource has network && resource.network.isInRange(ip("10.0.0.6/31")) };`,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.nat(40),
      fc.integer({ min: 26, max: 32 }),
      async (host, prefix) => {
        const size = 2 ** (32 - prefix);
        const first = host - host % size;
        const each = await Promise.all(
          Array.from(
            { length: size },
            (_, i) => decision(policies, { target: `10.0.0.${first + i}` }),
          ),
        );
        const { kind } = await decision(policies, {
          target: `10.0.0.${first}/${prefix}`,
        });
        const expected = each.every((one) => one.kind === "allow");
        assert.equal(kind === "allow", expected);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("decide() knows loopback within a larger network", async () => {
  const policies = await policiesOf(
    OPERATORS,
    `@id("no-loopback") forbid (principal, action, resource)
     when { resource has network && resource.network.isLoopback() };`,
  );
  for (const target of ["127.0.0.1", "126.0.0.0/7", "::1", "::/64"]) {
    const { kind } = await decision(policies, { target });
    assert.equal(kind, "deny", target);
  }
});

/** A decision without the texts' versions: 32 hex digits behind each name. */
function withoutVersions(decision: PolicyDecision): unknown {
  if (decision.kind !== "approval") return decision;
  return {
    ...decision,
    demands: decision.demands.map((demand) =>
      demand.replace(/@[0-9a-f]{32}$/, "")
    ),
  };
}

Deno.test("decide() asks for an approval where that is all that is missing", async () => {
  verifies("policy.approval");
  const policies = await policiesOf(
    `@id("by-approval") permit (principal, action in Action::"masscan", resource) when { context.approved };`,
    OPERATORS.replace("action,", 'action in Action::"nmap",'),
    `@id("a") @approver("client_user") forbid (principal, action, resource) when { context.ports > 10 } unless { context.approved };`,
    `@id("b") forbid (principal, action, resource) when { context.ports > 100 && !context.approved };`,
    `@id("never") forbid (principal, action, resource) when { context.ports > 1000 };`,
  );
  const target = "10.0.0.1";
  const table: [Record<string, unknown>, unknown][] = [
    [{ ports: 1 }, { kind: "allow", policies: ["operators"] }],
    [{ ports: 11 }, {
      kind: "approval",
      policies: ["a"],
      demands: ["a"],
      byClientUser: true,
    }],
    [{ ports: 101 }, {
      kind: "approval",
      policies: ["a", "b"],
      demands: ["a", "b"],
      byClientUser: false,
    }],
    [{ ports: 101, approved: true }, {
      kind: "allow",
      policies: ["operators"],
    }],
    [{ ports: 1001 }, { kind: "deny", policies: ["never"] }],
    [{ ports: 1001, approved: true }, { kind: "deny", policies: ["never"] }],
    [{ tool: "masscan" }, {
      kind: "approval",
      policies: ["by-approval"],
      demands: ["by-approval"],
      byClientUser: false,
    }],
    [{ tool: "gobuster" }, { kind: "deny", policies: [] }],
  ];
  for (const [request, expected] of table) {
    assert.deepEqual(
      withoutVersions(await decision(policies, { target, ...request })),
      expected,
      JSON.stringify(request),
    );
  }
});

Deno.test("decide() lets one network that is denied outweigh one that waits", async () => {
  verifies("policy.approval");
  const policies = await policiesOf(
    OPERATORS,
    `@id("wait") forbid (principal, action, resource)
     when { resource has network && resource.network.isInRange(ip("10.1.0.0/16")) } unless { context.approved };
     @id("never") forbid (principal, action, resource)
     when { resource has network && resource.network.isInRange(ip("10.2.0.0/16")) };`,
  );
  assert.deepEqual(
    await decision(policies, { target: ["10.1.0.1", "10.2.0.1"] }),
    { kind: "deny", policies: ["never"] },
  );
  assert.deepEqual(
    withoutVersions(
      await decision(policies, { target: ["10.3.0.1", "10.1.0.1"] }),
    ),
    {
      kind: "approval",
      policies: ["wait"],
      demands: ["wait"],
      byClientUser: false,
    },
  );
});

/** The client's own user lets it through. */
const BY_USER =
  `@id("by-user") @approver("client_user") forbid (principal, action, resource) unless { context.approved };`;

/** A permit that wants a second person. */
const SECOND =
  `@id("second") permit (principal, action, resource) when { context.approved };`;

const SECOND_OR_USER = SECOND.replace(
  "permit",
  '@approver("client_user") permit',
);

/** Holds only as long as nobody approved. */
const UNAPPROVED =
  `@id("before") permit (principal, action, resource) unless { context.approved };`;

const DEMANDING: readonly (readonly [
  what: string,
  texts: readonly string[],
  demands: readonly string[],
  byClientUser: boolean,
])[] = [
  ["a forbid", [OPERATORS, BY_USER], ["by-user"], true],
  ["a permit", [SECOND], ["second"], false],
  ["both", [SECOND, BY_USER], ["by-user", "second"], false],
  ["both, by the user", [SECOND_OR_USER, BY_USER], ["by-user", "second"], true],
  [
    "a forbid, where another permit holds already",
    [OPERATORS, SECOND, BY_USER],
    ["by-user"],
    true,
  ],
  [
    "both, where what held holds no more",
    [UNAPPROVED, SECOND, BY_USER],
    ["by-user", "second"],
    false,
  ],
];

for (const [what, texts, demands, byClientUser] of DEMANDING) {
  Deno.test(`decide() names each policy that demands an approval: ${what}`, async () => {
    verifies("approvals.policies");
    const policies = await policiesOf(...texts);
    assert.deepEqual(
      withoutVersions(await decision(policies, { target: "10.0.0.1" })),
      { kind: "approval", policies: demands, demands, byClientUser },
    );
  });
}

Deno.test("decide() demands another approval once what was permitted is permitted by approval only", async () => {
  verifies("approvals.policies");
  const demandsUnder = async (text: string) => {
    const policies = await policiesOf(text, BY_USER);
    const said = await decision(policies, { target: "10.0.0.1" });
    return said.kind === "approval" ? said.demands : assert.fail(said.kind);
  };
  const earlier = await demandsUnder(OPERATORS);
  const now = await demandsUnder(SECOND.replace("second", "operators"));
  assert.equal(earlier.length, 1);
  assert.deepEqual(
    now.filter((demand) => !earlier.includes(demand)).map((demand) =>
      demand.replace(/@.*/, "")
    ),
    ["operators"],
  );
});

/** What a policy says at first, what it says then, and whether that is another version of it. */
const WORDINGS: readonly (readonly [
  what: string,
  first: string,
  then: string,
  isOther: boolean,
])[] = [
  ["the same words", waits(10), waits(10), false],
  ["another bound", waits(10), waits(9), true],
  [
    "another approver",
    `@approver("client_user") ${waits(10)}`,
    waits(10),
    true,
  ],
  [
    "another policy beside it",
    waits(10),
    `${
      waits(10)
    } @id("else") forbid (principal, action, resource) when { context.ports > 900 };`,
    false,
  ],
];

function waits(ports: number): string {
  return `@id("wait") forbid (principal, action, resource) when { context.ports > ${ports} } unless { context.approved };`;
}

for (const [what, first, then, isOther] of WORDINGS) {
  Deno.test(`decide() says under which wording an approval is demanded: ${what}`, async () => {
    verifies("approvals.policies");
    const request = { target: "10.0.0.1", ports: 11 };
    const [one, two] = await Promise.all([first, then].map(async (text) => {
      const said = await decision(await policiesOf(OPERATORS, text), request);
      assert.ok(said.kind === "approval");
      return said.demands;
    }));
    assert.equal(one?.length, 1);
    assert.equal(JSON.stringify(one) !== JSON.stringify(two), isOther);
  });
}

Deno.test("decide() refuses more networks than it judges", async () => {
  const policies = await policiesOf(OPERATORS);
  const parsed = parseCaseRequest({ target: "10.0.0.1" }, DEFAULTS);
  const networks = (count: number) =>
    Array.from({ length: count }, (_, i) => `10.0.${i >> 7}.${(i % 128) * 2}`);
  const { kind } = await policies.decide({
    ...parsed,
    networks: networks(256),
  });
  assert.equal(kind, "allow");
  await assert.rejects(
    policies.decide({ ...parsed, networks: networks(257) }),
    {
      code: "network_too_large",
      message:
        /^Cannot scan 257 networks in one call: .* at most 256; .*10\.0\.0\.0\/24/,
    },
  );
});

Deno.test("decide() fails as a whole where a forbid fails", async () => {
  verifies("policy.fail_closed");
  const policies = await policiesOf(
    OPERATORS,
    `@id("overflow") forbid (principal, action, resource) when { context.rate * context.addresses > 5 };`,
  );
  const request = { target: "10.0.0.1", rate: 2 ** 40, addresses: 2 ** 40 };
  await assert.rejects(decision(policies, request), {
    code: "internal",
    message: /"overflow" fails for this request, so nothing is allowed/,
  });
});

Deno.test("decide() judges a network that is none by failing", async () => {
  verifies("policy.fail_closed");
  const policies = await policiesOf(OPERATORS);
  const parsed = parseCaseRequest({ target: "10.0.0.1" }, DEFAULTS);
  for (const network of ["10.0.0.1-5", "localhost", "", "10.0.0.1/33"]) {
    await assert.rejects(
      policies.decide({ ...parsed, networks: [network] }),
      { code: "internal" },
      network,
    );
  }
});

Deno.test("decide() judges names where there is no network", async () => {
  const policies = await policiesOf(
    OPERATORS,
    `@id("scope") forbid (principal, action, resource) unless { resource.in_scope };`,
  );
  const parsed = parseCaseRequest(
    { tool: "gobuster", mode: "dns", names: ["a.lab", "b.test"] },
    {
      ...DEFAULTS,
      inScope: (name) => name.endsWith(".lab"),
    },
  );
  assert.equal((await policies.decide(parsed)).kind, "deny");
  const inside = { ...parsed, names: ["a.lab"] };
  assert.equal((await policies.decide(inside)).kind, "allow");
  const none = { ...parsed, names: [] };
  assert.equal((await policies.decide(none)).kind, "deny");
});

Deno.test("decide() takes the source by its plain form, and nothing that is no address", async () => {
  const policies = await policiesOf(
    `@id("office") permit (principal, action, resource) when { context has source && context.source.isInRange(ip("192.168.1.0/24")) };`,
  );
  const parsed = parseCaseRequest({ target: "10.0.0.1" }, DEFAULTS);
  const table: [string | null, string][] = [
    ["192.168.1.5", "allow"],
    ["::ffff:192.168.1.5", "allow"],
    ["192.168.2.5", "deny"],
    ["fe80::1%eth0", "deny"],
    ["192.168.1.5:80", "deny"],
    ["unix", "deny"],
    [null, "deny"],
  ];
  for (const [source, expected] of table) {
    const { kind } = await policies.decide({ ...parsed, source });
    assert.equal(kind, expected, String(source));
  }
});

Deno.test("decide() gives time in UTC, and Sunday the number 7", async () => {
  const policies = await policiesOf(
    `@id("then") permit (principal, action, resource) when {
       context.time.hour == 23 && context.time.minute == 5 && context.time.day_of_week == 7 &&
       context.time.date == "2026-11-29" && context.time.epoch_seconds == 1795993500 &&
       context.time.now == datetime("2026-11-29T23:05:00Z")
     };`,
  );
  const { kind } = await decision(policies, {
    target: "10.0.0.1",
    time: "2026-11-30T00:05:00+01:00",
  });
  assert.equal(kind, "allow");
});

Deno.test("explain() says of each network which policies apply", async () => {
  const policies = await policiesOf(
    OPERATORS,
    `@id("hole") forbid (principal, action, resource)
     when { resource has network && resource.network.isInRange(ip("10.0.5.0/24")) };`,
  );
  const request = parseCaseRequest({ target: "10.0.0.0/16" }, DEFAULTS);
  assert.deepEqual(await policies.explain(request), [
    {
      network: "10.0.0.0/16",
      inScope: true,
      decision: { kind: "allow", policies: ["operators"] },
      applies: ["operators"],
    },
    {
      network: "10.0.5.0/24",
      inScope: true,
      decision: { kind: "deny", policies: ["hole"] },
      applies: ["hole", "operators"],
    },
  ]);
});

Deno.test("sets of policies stay apart, however many there were since", async () => {
  const permits = await policiesOf(OPERATORS);
  const denies = await policiesOf();
  for (let i = 0; i < 20; i++) await policiesOf(OPERATORS);
  for (let i = 0; i < 3; i++) {
    const request = { target: "10.0.0.1" };
    assert.equal((await decision(permits, request)).kind, "allow");
    assert.equal((await decision(denies, request)).kind, "deny");
  }
});
