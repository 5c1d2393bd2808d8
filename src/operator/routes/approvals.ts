/**
 * Requests that wait for a second person.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, type z } from "@hono/zod-openapi";
import type { Approval } from "@/approvals/approval.ts";
import { withoutUndefined } from "@/mcp/scan_tools.ts";
import { isoTime } from "@/scans/times.ts";
import type { OperatorEnv } from "../env.ts";
import {
  ApprovalSchema,
  ApprovalsQuery,
  ApprovalsSchema,
  DecisionBody,
} from "../schemas/administration.ts";
import {
  IdParams,
  jsonAnswer,
  jsonBody,
  LINK_HEADER,
  NoQuery,
  SECURED,
} from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { linkNext, pageOf } from "./pages.ts";
import { refusal } from "./refuse.ts";

const tags = ["Approvals"];

const EXAMPLE: z.input<typeof ApprovalSchema> = {
  id: "apr_01jgz7m5e8p4k2q9s6t3v0w1xy",
  tenant: "red",
  status: "pending",
  requester: {
    kind: "key",
    subject: "key:k1",
    client: "ci",
    roles: ["operator"],
  },
  tool: "nmap",
  target: "10.0.0.0/24",
  arguments: { target: "10.0.0.0/24" },
  policies: ["second-person-for-production"],
  by_client_user: false,
  requested_at: "2026-01-02T03:04:05.000Z",
  expires_at: "2026-01-02T04:04:05.000Z",
  decided_at: null,
  decided_by: null,
  note: null,
  scan_id: null,
};

const list = createRoute({
  method: "get",
  path: "/v1/approvals",
  operationId: "listApprovals",
  summary: "Requests for approval, newest first",
  tags,
  security: SECURED,
  request: { query: ApprovalsQuery },
  responses: {
    200: {
      ...jsonAnswer(ApprovalsSchema, "A page of requests.", {
        approvals: [EXAMPLE],
        next_cursor: null,
      }),
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

const one = createRoute({
  method: "get",
  path: "/v1/approvals/{id}",
  operationId: "getApproval",
  summary: "A request for approval",
  tags,
  security: SECURED,
  request: { params: IdParams, query: NoQuery },
  responses: {
    200: jsonAnswer(ApprovalSchema, "The request.", EXAMPLE),
    ...problems(404),
  },
});

const decide = createRoute({
  method: "post",
  path: "/v1/approvals/{id}",
  operationId: "decideApproval",
  summary: "Grant or deny",
  description:
    "A granted request is scanned in the background at once. Nobody decides on a request of their own. What was denied stays denied to its requester until the request would have expired.",
  tags,
  security: SECURED,
  request: {
    params: IdParams,
    query: NoQuery,
    body: jsonBody(DecisionBody, {
      decision: "grant",
      note: "Change 4711, in the window",
    }),
  },
  responses: {
    200: jsonAnswer(ApprovalSchema, "The request as it was decided.", {
      ...EXAMPLE,
      status: "granted",
      decided_at: "2026-01-02T03:10:00.000Z",
      decided_by: "key:k2",
      note: "Change 4711, in the window",
      scan_id: "01jgz7zzzzp4k2q9s6t3v0w1xy",
    }),
    ...problems(404, 409, 413, 415),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function approvalRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const query = c.req.valid("query");
    const { items, next } = await c.get("session").approvals(
      withoutUndefined({ status: query.status }),
      pageOf(query),
    );
    linkNext(c, next);
    return c.json(
      { approvals: items.map(approvalView), next_cursor: next },
      200,
    );
  }, refusal(list));
  app.openapi(one, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(approvalView(await c.get("session").approval(id)), 200);
  }, refusal(one));
  app.openapi(decide, async (c) => {
    const { id } = c.req.valid("param");
    const { decision, note = null } = c.req.valid("json");
    const decided = await c.get("session").decide(id, decision, note);
    return c.json(approvalView(decided), 200);
  }, refusal(decide));
}

function approvalView(approval: Approval): z.infer<typeof ApprovalSchema> {
  const { kind, subject, client, roles } = approval.requester;
  return {
    id: approval.id,
    tenant: approval.tenant,
    status: approval.status,
    requester: { kind, subject, client, roles: [...roles] },
    tool: approval.tool,
    target: approval.target,
    arguments: { ...approval.arguments },
    policies: [...approval.policies],
    by_client_user: approval.byClientUser,
    requested_at: new Date(approval.requestedAt).toISOString(),
    expires_at: new Date(approval.expiresAt).toISOString(),
    decided_at: isoTime(approval.decidedAt),
    decided_by: approval.decidedBy,
    note: approval.note,
    scan_id: approval.scanId,
  };
}
