/**
 * Golden decisions of the shipped policies and of each example beside them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseCaseRequest, testCases } from "@/policy/cases.ts";
import { casesOf } from "@/policy/cases_file.ts";
import { FOLDER } from "@/policy/folder.ts";
import { compilePolicies, readPolicies } from "@/policy/load.ts";
import { verifies } from "../requirements.ts";

const SHIPPED = "config/policies";
const EXAMPLES = `${SHIPPED}/examples`;

/** A Wednesday noon. */
const NOW = Date.UTC(2026, 10, 25, 12);

interface Golden {
  readonly name: string;
  readonly request: Record<string, unknown>;
  readonly decision: string;
  readonly policies: string[];
  readonly by_client_user?: boolean;
}

const golden: Record<string, Golden[]> = JSON.parse(
  Deno.readTextFileSync("tests/golden/policy/examples.json"),
);

async function withExample(name: string) {
  const shipped = await readPolicies(SHIPPED, FOLDER);
  const text = await FOLDER.readText(EXAMPLES, name);
  return await compilePolicies({
    schema: shipped.schema,
    files: [...shipped.files, { name, text }],
  });
}

Deno.test("every example has its golden decisions", () => {
  verifies("policy.examples", "policy.approval");
  const files = [...Deno.readDirSync(EXAMPLES)].map(({ name }) => name);
  assert.deepEqual(files.sort(), Object.keys(golden).sort());
});

for (const [file, cases] of Object.entries(golden)) {
  Deno.test(`the example ${file} decides as its golden file says`, async () => {
    verifies("policy.examples");
    const policies = await withExample(file);
    for (const { name, request, ...expected } of cases) {
      const parsed = parseCaseRequest(request, { now: NOW });
      const { kind, ...found } = await policies.decide(parsed);
      assert.equal(kind, expected.decision, name);
      assert.deepEqual(found.policies, expected.policies, name);
      if (expected.by_client_user !== undefined) {
        assert.ok("byClientUser" in found, name);
        assert.equal(found.byClientUser, expected.by_client_user, name);
      }
    }
  });

  Deno.test(`every policy of the example ${file} makes a difference`, async () => {
    verifies("policy.examples");
    const policies = await withExample(file);
    const named = new Set(cases.flatMap((one) => one.policies));
    for (const { id, file: own } of policies.views) {
      if (own === file) assert.ok(named.has(id), `${id} decides no case`);
    }
  });
}

Deno.test("the shipped policies pass the shipped cases, and each one decides", async () => {
  verifies("policy.shipped");
  const sources = await readPolicies(SHIPPED, FOLDER);
  const policies = await compilePolicies(sources);
  const name = "cases.yaml";
  const text = await Deno.readTextFile(`${SHIPPED}/${name}`);
  const verdicts = await testCases(policies, casesOf({ name, text }), {
    now: NOW,
  });
  assert.deepEqual(verdicts.filter(({ ok }) => ok !== true), []);
  const of = (kind: string) => verdicts.filter((one) => one.decision === kind);
  assert.ok(of("allow").length >= 3 && of("deny").length >= 3);
  const named = new Set(verdicts.flatMap((one) => one.policies));
  assert.deepEqual(
    [...named].sort(),
    policies.views.map(({ id }) => id).sort(),
  );
});

Deno.test("the shipped policies are these and no others", async () => {
  verifies("policy.shipped");
  const { files } = await readPolicies(SHIPPED, FOLDER);
  const policies = await compilePolicies(await readPolicies(SHIPPED, FOLDER));
  assert.deepEqual(files.map(({ name }) => name), [
    "guardrails.cedar",
    "operators.cedar",
  ]);
  assert.deepEqual(
    policies.views.map(({ id, effect, file }) => [id, effect, file]),
    [
      ["only-in-scope", "forbid", "guardrails.cedar"],
      ["intrusive-only-where-allowed", "forbid", "guardrails.cedar"],
      ["operators-may-scan", "permit", "operators.cedar"],
    ],
  );
});
