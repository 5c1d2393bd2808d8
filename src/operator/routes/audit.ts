/**
 * The audit log, read page by page.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { withoutUndefined } from "@/mcp/scan_tools.ts";
import { isoTime } from "@/scans/times.ts";
import type { OperatorEnv } from "../env.ts";
import { AuditQuery, AuditSchema } from "../schemas/administration.ts";
import { jsonAnswer, LINK_HEADER, SECURED } from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { ID_EXAMPLE } from "./examples.ts";
import { linkNext, pageOf, timeOf } from "./pages.ts";
import { refusal } from "./refuse.ts";

const list = createRoute({
  method: "get",
  path: "/v1/audit",
  operationId: "listAuditEntries",
  summary: "Entries of the audit log, newest first",
  description:
    "For a person to look at; what proves something is the log itself, with audit verify and audit export.",
  tags: ["Audit"],
  security: SECURED,
  request: { query: AuditQuery },
  responses: {
    200: {
      ...jsonAnswer(AuditSchema, "A page of entries.", {
        entries: [{
          seq: 7,
          time: "2026-01-02T03:04:05.000Z",
          kind: "decision",
          operation: "scan",
          outcome: "allowed",
          scan_id: ID_EXAMPLE,
        }],
        next_cursor: null,
      }),
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function auditRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const query = c.req.valid("query");
    const filter = withoutUndefined({
      since: stampOf(query.since, "since"),
      until: stampOf(query.until, "until"),
      kind: query.kind,
      scanId: query.scan_id,
    });
    const { items, next } = await c.get("session").auditEntries(
      filter,
      pageOf(query),
    );
    linkNext(c, next);
    return c.json(
      { entries: items.map((entry) => ({ ...entry })), next_cursor: next },
      200,
    );
  }, refusal(list));
}

/** A time in the one form that the log's times have, so that they compare as texts. */
function stampOf(text: string | undefined, name: string): string | undefined {
  return isoTime(timeOf(text, name) ?? null) ?? undefined;
}
