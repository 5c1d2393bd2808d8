/**
 * Policies for tests: the shipped schema, and texts as they are given.
 *
 * @module
 */
import type { CaseDefaults } from "@/policy/cases.ts";
import { parseCaseRequest } from "@/policy/cases.ts";
import type { PolicySet } from "@/policy/engine.ts";
import { compilePolicies } from "@/policy/load.ts";
import type { PolicyDecision } from "@/policy/request.ts";

/** The schema as it is shipped. */
export const SCHEMA = Deno.readTextFileSync(
  "config/policies/schema.cedarschema",
);

/** A policy that permits operators everything. */
export const OPERATORS =
  `@id("operators") permit (principal, action, resource) when { principal.roles.contains("operator") };\n`;

/** A Wednesday noon. */
export const DEFAULTS: CaseDefaults = { now: Date.UTC(2026, 10, 25, 12) };

/** Compiles texts; each is a file. */
export async function policiesOf(...texts: string[]): Promise<PolicySet> {
  return await compilePolicies({
    schema: SCHEMA,
    files: texts.map((text, index) => ({ name: `f${index}.cedar`, text })),
  });
}

/** Decides a request in the friendly form. */
export async function decision(
  policies: PolicySet,
  request: Record<string, unknown>,
): Promise<PolicyDecision> {
  return await policies.decide(parseCaseRequest(request, DEFAULTS));
}
