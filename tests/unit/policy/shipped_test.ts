import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCaseRequest } from "@/policy/cases.ts";
import { ACTIONS, MODES } from "@/policy/action.ts";
import { FOLDER } from "@/policy/folder.ts";
import { loadPolicies } from "@/policy/load.ts";
import type { PolicyRequest } from "@/policy/request.ts";
import { MODES as GOBUSTER_MODES } from "@/tools/gobuster/request.ts";
import { SCAN_TYPES } from "@/tools/nmap/request.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import { verifies } from "../../requirements.ts";

const ROLES = ["viewer", "operator", "approver", "admin"];

/** Any text at all, and some that mean something elsewhere. */
const TEXT = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.constantFrom(
    '" || true || "',
    'Tenant::"default"',
    '{"__entity":{"type":"Tenant","id":"default"}}',
    "__extn",
    "__proto__",
    "operator",
    "operator\u0000",
    "\ud800",
    "*",
    ");permit(principal,action,resource);",
  ),
);

const GIVEN = TEXT.filter((text) => text !== "");

const ADDRESS = fc.oneof(
  fc.ipV4(),
  fc.tuple(fc.nat(255), fc.integer({ min: 8, max: 32 })).map(([a, prefix]) =>
    `${a}.0.0.0/${prefix}`
  ),
  fc.constantFrom("::1", "fd00::/64", "0.0.0.0/0", "::/0", "10.0.0.0/24"),
);

function requests(): fc.Arbitrary<PolicyRequest & { readonly scope: boolean }> {
  return fc.record({
    principal: fc.record({
      subject: TEXT,
      client: TEXT,
      tenant: TEXT,
      roles: fc.array(fc.oneof(fc.constantFrom(...ROLES), TEXT), {
        maxLength: 5,
      }),
    }),
    action: fc.constantFrom(...ACTIONS),
    networks: fc.array(ADDRESS, { maxLength: 4 }),
    names: fc.array(TEXT, { minLength: 1, maxLength: 3 }),
    engagement: fc.option(TEXT),
    tags: fc.array(TEXT, { maxLength: 4 }),
    addresses: fc.oneof(fc.maxSafeNat(), fc.constant(Infinity)),
    ports: fc.nat(65_536),
    rate: fc.oneof(fc.maxSafeNat(), fc.double({ min: 0, noNaN: true })),
    intrusive: fc.boolean(),
    intrusiveAllowed: fc.boolean(),
    scope: fc.boolean(),
    transport: fc.constantFrom<PolicyRequest["transport"]>(
      "stdio",
      "http",
      "cli",
    ),
    source: fc.option(fc.oneof(fc.ipV4(), fc.ipV6(), TEXT)),
    at: fc.nat(Date.UTC(2100, 0)),
    approved: fc.boolean(),
  }).map(({ action, scope, ...rest }) => {
    const [tool = "", mode = ""] = action.split(":");
    return {
      ...rest,
      scope,
      tool: tool as PolicyRequest["tool"],
      mode,
      inScope: () => scope,
    };
  });
}

Deno.test("the shipped policies allow what the guardrails allow to an operator, and nothing else", async () => {
  verifies("policy.shipped");
  const policies = await loadPolicies("config/policies", FOLDER);
  await fc.assert(
    fc.asyncProperty(requests(), async (request) => {
      const { intrusive, intrusiveAllowed, principal, scope } = request;
      const expected = scope && (!intrusive || intrusiveAllowed) &&
        principal.roles.includes("operator");
      const { kind } = await policies.decide(request);
      assert.equal(kind, expected ? "allow" : "deny");
    }),
    { numRuns: 400 },
  );
});

Deno.test("no text of a request takes it into another tenant or gives it a role", async () => {
  verifies("policy.hostile_text");
  const shipped = await loadPolicies("config/policies", FOLDER);
  assert.equal(shipped.views.length, 3);
  const { compilePolicies, readPolicies } = await import("@/policy/load.ts");
  const { schema } = await readPolicies("config/policies", FOLDER);
  const text = `@id("trap") permit (principal, action, resource)
when {
  principal in Tenant::"trapped" || principal == Client::"trapped" ||
  principal.roles.contains("trapped") || resource.tags.contains("trapped") ||
  resource.names.contains("trapped") || context.transport == "trapped"
};`;
  const trap = await compilePolicies({
    schema,
    files: [{ name: "trap.cedar", text }],
  });
  await fc.assert(
    fc.asyncProperty(requests(), async (request) => {
      assert.deepEqual(await trap.decide(request), {
        kind: "deny",
        policies: [],
      });
    }),
    { numRuns: 200 },
  );
});

Deno.test("decide() never throws for a request that parseCaseRequest() returns", async () => {
  const policies = await loadPolicies("config/policies", FOLDER);
  const cases = fc.record({
    client: GIVEN,
    subject: GIVEN,
    tenant: GIVEN,
    roles: fc.array(GIVEN, { minLength: 1, maxLength: 3 }),
    tool: fc.constantFrom(...TOOL_NAMES),
    networks: fc.array(ADDRESS, { minLength: 1, maxLength: 3 }),
    names: fc.array(GIVEN, { minLength: 1, maxLength: 3 }),
    tags: fc.array(GIVEN, { minLength: 1, maxLength: 3 }),
    rate: fc.oneof(fc.maxSafeNat(), fc.integer()),
    source: fc.oneof(fc.ipV4(), fc.constant("::1"), TEXT),
    time: fc.constantFrom("2026-11-21T06:44:00Z", "9999-12-31", "soon"),
    in_scope: fc.boolean(),
  }, { requiredKeys: ["networks"] });
  let judged = 0;
  await fc.assert(
    fc.asyncProperty(cases, async (request) => {
      let parsed: PolicyRequest;
      try {
        parsed = parseCaseRequest(request, { now: 0 });
      } catch (thrown) {
        const { code } = thrown as { code?: string };
        assert.ok(code === "invalid_arguments" || code === "invalid_target");
        return;
      }
      judged++;
      await policies.decide(parsed);
    }),
    { numRuns: 500 },
  );
  assert.ok(judged > 20, `${judged} requests were judged`);
});

Deno.test("MODES names the modes of each tool", () => {
  assert.deepEqual(MODES.nmap, SCAN_TYPES);
  assert.deepEqual(MODES.gobuster, GOBUSTER_MODES);
  assert.deepEqual(MODES.masscan, ["syn"]);
});
