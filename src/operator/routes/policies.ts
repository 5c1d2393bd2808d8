/**
 * The policies in force, and trying them without a scan.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { withoutUndefined } from "@/mcp/scan_tools.ts";
import { explanationJson } from "@/policy/explain.ts";
import type { OperatorEnv } from "../env.ts";
import {
  PoliciesSchema,
  PolicyCheckSchema,
  PolicyExplainBody,
  PolicyExplanationSchema,
  PolicyTestBody,
  PolicyTextBody,
  PolicyVerdictsSchema,
} from "../schemas/administration.ts";
import { jsonAnswer, jsonBody, NoQuery, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { refusal } from "./refuse.ts";

const tags = ["Policies"];

const list = createRoute({
  method: "get",
  path: "/v1/policies",
  operationId: "listPolicies",
  summary: "The policies in force",
  tags,
  security: SECURED,
  request: { query: NoQuery },
  responses: {
    200: jsonAnswer(PoliciesSchema, "The policies.", {
      hash: "0".repeat(64),
      policies: [{
        id: "operators-scan-in-scope",
        effect: "permit",
        file: "guardrails.cedar",
        annotations: { id: "operators-scan-in-scope" },
        text: "permit (principal, action, resource);",
      }],
    }),
    ...problems(),
  },
});

const validate = createRoute({
  method: "post",
  path: "/v1/policies/validate",
  operationId: "validatePolicy",
  summary: "Say what is wrong with policies before they are in force",
  tags,
  security: SECURED,
  request: {
    query: NoQuery,
    body: jsonBody(PolicyTextBody, {
      text: "forbid (principal, action, resource);",
    }),
  },
  responses: {
    200: jsonAnswer(PolicyCheckSchema, "What is wrong with them.", {
      ok: true,
      problems: [],
    }),
    ...problems(413, 415),
  },
});

const test = createRoute({
  method: "post",
  path: "/v1/policies/test",
  operationId: "testPolicies",
  summary: "Judge a table of requests by the policies in force",
  description:
    "Nothing is scanned. Each verdict names the policies that decided.",
  tags,
  security: SECURED,
  request: {
    query: NoQuery,
    body: jsonBody(PolicyTestBody, {
      cases: [{
        name: "an operator scans the lab",
        request: { tool: "nmap", networks: ["10.0.0.0/24"] },
        expect: "allow",
      }],
    }),
  },
  responses: {
    200: jsonAnswer(PolicyVerdictsSchema, "What came of each.", {
      verdicts: [{
        name: "an operator scans the lab",
        decision: "allow",
        policies: ["operators-scan-in-scope"],
        ok: true,
      }],
      passed: 1,
      failed: 0,
    }),
    ...problems(413, 415),
  },
});

const explain = createRoute({
  method: "post",
  path: "/v1/policies/explain",
  operationId: "explainPolicies",
  summary: "Say what the policies in force decide of a request, and why",
  description:
    "Nothing is scanned. For each network of the request it names every policy that applies, as the command policy explain does.",
  tags,
  security: SECURED,
  request: {
    query: NoQuery,
    body: jsonBody(PolicyExplainBody, {
      request: { tool: "nmap", target: "10.20.0.7", tenant: "red" },
    }),
  },
  responses: {
    200: jsonAnswer(PolicyExplanationSchema, "What they decide.", {
      decision: "deny",
      policies: ["production-at-night"],
      networks: [{
        network: "10.20.0.7",
        in_scope: true,
        decision: "deny",
        policies: ["production-at-night"],
        applies: ["operators-may-scan", "production-at-night"],
      }],
    }),
    ...problems(413, 415),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function policyRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const { hash, policies } = await c.get("session").policies();
    const shown = policies.map(({ id, effect, file, annotations, text }) => ({
      id,
      effect,
      file,
      annotations: { ...annotations },
      text,
    }));
    return c.json({ hash, policies: shown }, 200);
  }, refusal(list));
  app.openapi(validate, async (c) => {
    const { text } = c.req.valid("json");
    const problems = [...await c.get("session").validatePolicy(text)];
    return c.json({ ok: problems.length === 0, problems }, 200);
  }, refusal(validate));
  app.openapi(test, async (c) => {
    const { cases } = c.req.valid("json");
    const verdicts = await c.get("session").testPolicies(
      cases.map(({ name, request, expect }) => ({
        name,
        request,
        ...withoutUndefined({ expect }),
      })),
    );
    return c.json({
      verdicts: verdicts.map(({ name, decision, policies, ok }) => ({
        name,
        decision,
        policies: [...policies],
        ok,
      })),
      passed: verdicts.filter(({ ok }) => ok === true).length,
      failed: verdicts.filter(({ ok }) => ok === false).length,
    }, 200);
  }, refusal(test));
  app.openapi(explain, async (c) => {
    const { request } = c.req.valid("json");
    const explained = await c.get("session").explainPolicies(request);
    return c.json(explanationJson(explained), 200);
  }, refusal(explain));
}
