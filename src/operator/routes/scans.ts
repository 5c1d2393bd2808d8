/**
 * Scans: the list, one of them, and its end.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { OperatorEnv } from "../env.ts";
import {
  IdParams,
  jsonAnswer,
  LINK_HEADER,
  NoQuery,
  PAGE_DEFAULT,
  SECURED,
} from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import { ScanListSchema, ScanSchema, ScansQuery } from "../schemas/scan.ts";
import { fromOf, recordReading } from "./caller.ts";
import { SCAN_EXAMPLE, SCAN_HEAD_EXAMPLE } from "./examples.ts";
import { linkNext } from "./pages.ts";
import { refusal } from "./refuse.ts";
import { scanHeadView, scanView } from "./scan_view.ts";

const tags = ["Scans"];

const list = createRoute({
  method: "get",
  path: "/v1/scans",
  operationId: "listScans",
  summary: "Scans, newest first",
  tags,
  security: SECURED,
  request: { query: ScansQuery },
  responses: {
    200: {
      ...jsonAnswer(ScanListSchema, "A page of scans.", {
        scans: [SCAN_HEAD_EXAMPLE],
        next_cursor: null,
      }),
      headers: LINK_HEADER,
    },
    ...problems(),
  },
});

const one = createRoute({
  method: "get",
  path: "/v1/scans/{id}",
  operationId: "getScan",
  summary: "A scan with its findings",
  tags,
  security: SECURED,
  request: { params: IdParams, query: NoQuery },
  responses: {
    200: jsonAnswer(ScanSchema, "The scan.", SCAN_EXAMPLE),
    ...problems(404),
  },
});

const cancel = createRoute({
  method: "delete",
  path: "/v1/scans/{id}",
  operationId: "cancelScan",
  summary: "Cancel a scan",
  description:
    "Answers when nothing of it runs any more. A scan that is over is answered as it is; nothing that is kept is removed.",
  tags,
  security: SECURED,
  request: { params: IdParams, query: NoQuery },
  responses: {
    200: jsonAnswer(ScanSchema, "The scan as it ended.", {
      ...SCAN_EXAMPLE,
      status: "cancelled",
      summary:
        "Cancelled, results are incomplete: 1 of 16 hosts up, 1 open port: 22/tcp.",
      error: { code: "cancelled", message: "The scan was cancelled" },
    }),
    ...problems(404),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 */
export function scanRoutes(app: OpenAPIHono<OperatorEnv>): void {
  app.openapi(list, async (c) => {
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/scans", query);
    const { status, tool, engagement, tag, cursor } = query;
    const limit = query.limit ?? PAGE_DEFAULT;
    const scans = await c.get("session").scans({
      ...(status === undefined ? {} : { status }),
      ...(tool === undefined ? {} : { tool }),
      ...(engagement === undefined ? {} : { engagement }),
      ...(tag === undefined ? {} : { tags: tag }),
      ...(cursor === undefined ? {} : { before: cursor }),
      // One more than is shown tells whether there are more.
      limit: limit + 1,
    });
    const shown = scans.slice(0, limit);
    const next = scans.length > limit ? shown.at(-1)?.id ?? null : null;
    linkNext(c, next);
    return c.json({ scans: shown.map(scanHeadView), next_cursor: next }, 200);
  }, refusal(list));
  app.openapi(one, async (c) => {
    const { id } = c.req.valid("param");
    await recordReading(c, "GET /v1/scans/{id}", { scan_id: id });
    return c.json(scanView(await c.get("session").scan(id)), 200);
  }, refusal(one));
  app.openapi(cancel, async (c) => {
    const { id } = c.req.valid("param");
    // The engine records who cancels what.
    const scan = await c.get("session").cancel(id, fromOf(c));
    return c.json(scanView(scan), 200);
  }, refusal(cancel));
}
