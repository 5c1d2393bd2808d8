/**
 * Parts of a scan: its findings page by page, what changed since another one, its raw output, and
 * reports to keep.
 *
 * @module
 */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { diffAnswer } from "@/mcp/diff_answer.ts";
import { REPORT_EXTENSIONS } from "@/mcp/report_resource.ts";
import type { ScanDiff } from "@/scans/diff.ts";
import type { OperatorEnv } from "../env.ts";
import { DiffSchema } from "../schemas/diff.ts";
import {
  IdParams,
  jsonAnswer,
  LINK_HEADER,
  NoQuery,
  SECURED,
} from "../schemas/kinds.ts";
import { problems } from "../schemas/problem.ts";
import {
  DiffQuery,
  FINDINGS_DEFAULT,
  FindingsQuery,
  FindingsSchema,
} from "../schemas/scan.ts";
import { recordReading } from "./caller.ts";
import type { RouteDeps } from "./deps.ts";
import { ID_EXAMPLE, SCAN_EXAMPLE } from "./examples.ts";
import { linkNext, partOf } from "./pages.ts";
import { rawAnswer } from "./raw_answer.ts";
import { refusal } from "./refuse.ts";
import { reportAnswer } from "./report_answer.ts";
import { findingsView } from "./scan_view.ts";

const tags = ["Scans"];

const findings = createRoute({
  method: "get",
  path: "/v1/scans/{id}/hosts",
  operationId: "listFindings",
  summary: "Findings of a scan, page by page",
  description:
    "Open ports first, then hosts without one, then the rest; paths and names of gobuster too.",
  tags,
  security: SECURED,
  request: { params: IdParams, query: FindingsQuery },
  responses: {
    200: {
      ...jsonAnswer(FindingsSchema, "A page of findings.", {
        scan_id: ID_EXAMPLE,
        tool: "nmap",
        target: "10.0.0.0/28",
        status: "succeeded",
        summary: SCAN_EXAMPLE.summary,
        report: SCAN_EXAMPLE.report,
        shown: 1,
        matched: 1,
        next_cursor: null,
      }),
      headers: LINK_HEADER,
    },
    ...problems(404),
  },
});

const SIDE = {
  tool: "nmap" as const,
  target: "10.0.0.0/28",
  status: "succeeded" as const,
  scan_type: "connect",
  started_at: "2026-01-02T03:04:05.100Z",
  finished_at: "2026-01-02T03:04:17.445Z",
  complete: true,
};

const diff = createRoute({
  method: "get",
  path: "/v1/scans/{id}/diff",
  operationId: "diffScan",
  summary: "What changed since an earlier scan",
  tags,
  security: SECURED,
  request: { params: IdParams, query: DiffQuery },
  responses: {
    200: {
      ...jsonAnswer(DiffSchema, "A page of changes.", {
        kind: "hosts",
        older: { scan_id: "01jgx0a1b2c3d4e5f6g7h8j9kx", ...SIDE },
        newer: { scan_id: ID_EXAMPLE, ...SIDE },
        compared: {
          targets: ["10.0.0.0/28"],
          addresses: 16,
          ports: "22,80",
          services: false,
        },
        totals: { hosts: { unchanged: 1 }, ports: { opened: 1 } },
        changes: [{
          kind: "port",
          change: "opened",
          address: "10.0.0.5",
          port: 80,
          protocol: "tcp",
          before: { state: "closed" },
          after: { state: "open", service: "http" },
          changed: ["state"],
        }],
        changes_total: 1,
        not_compared: [],
        notes: [],
        next_cursor: null,
      }),
      headers: LINK_HEADER,
    },
    ...problems(404),
  },
});

const file = { type: "string" as const, format: "binary" };

const TAG_HEADER = {
  ETag: {
    description: "Stands for these bytes; there is none while the scan runs.",
    schema: { type: "string" as const },
    example: `"${ID_EXAMPLE}-10"`,
  },
};

const raw = createRoute({
  method: "get",
  path: "/v1/scans/{id}/raw",
  operationId: "getRawOutput",
  summary: "What the tool printed, as it came",
  description:
    "Untrusted: bytes that scanned hosts chose may be in it. Answers one range of Range: bytes. Of a scan that is over it has a strong ETag, for If-Range and If-None-Match.",
  tags,
  security: SECURED,
  request: {
    params: IdParams,
    query: NoQuery,
    headers: z.object({
      range: z.string().max(200).optional().openapi({
        description: "One range of bytes; several are answered as a whole.",
        example: "bytes=0-65535",
      }),
      "if-range": z.string().optional().openapi({
        description:
          "The tag of what the range is to be of; if it is another, the whole is given.",
      }),
      "if-none-match": z.string().optional().openapi({
        description: "Tags of what the client has.",
      }),
    }),
  },
  responses: {
    200: {
      description: "All of it.",
      content: {
        "application/octet-stream": { schema: file, example: "<nmaprun/>" },
      },
      headers: TAG_HEADER,
    },
    206: {
      description: "The range.",
      content: {
        "application/octet-stream": { schema: file, example: "<nmap" },
      },
      headers: {
        "Content-Range": {
          description: "Which bytes of how many.",
          schema: { type: "string" as const },
          example: "bytes 0-4/10",
        },
        ...TAG_HEADER,
      },
    },
    304: { description: "The client has it.", headers: TAG_HEADER },
    ...problems(404, 416),
  },
});

const report = createRoute({
  method: "get",
  path: "/v1/scans/{id}/report",
  operationId: "getReport",
  summary: "A report to keep",
  tags,
  security: SECURED,
  request: {
    params: IdParams,
    query: z.strictObject({
      format: z.enum(REPORT_EXTENSIONS).openapi({
        description: "xml is nmap's own, as it came.",
        example: "html",
      }),
    }),
  },
  responses: {
    200: {
      description: "The report, as a file.",
      content: {
        "text/html": {
          schema: { type: "string" as const },
          example: "<!DOCTYPE html>",
        },
        "text/markdown": { schema: { type: "string" as const } },
        "text/csv": { schema: { type: "string" as const } },
        "application/jsonl": { schema: { type: "string" as const } },
        "application/sarif+json": { schema: { type: "object" as const } },
        "application/xml": { schema: { type: "string" as const } },
      },
    },
    ...problems(404),
  },
});

/**
 * Adds the routes.
 *
 * @param app The app.
 * @param deps What they are given.
 */
export function scanPartRoutes(
  app: OpenAPIHono<OperatorEnv>,
  deps: RouteDeps,
): void {
  app.openapi(findings, async (c) => {
    const { id } = c.req.valid("param");
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/scans/{id}/hosts", {
      scan_id: id,
      ...query,
    });
    const view = findingsView(await c.get("session").scan(id), query);
    linkNext(c, view.next_cursor);
    return c.json(view, 200);
  }, refusal(findings));
  app.openapi(diff, async (c) => {
    const { id } = c.req.valid("param");
    const query = c.req.valid("query");
    await recordReading(c, "GET /v1/scans/{id}/diff", {
      scan_id: id,
      ...query,
    });
    const { structuredContent } = await diffAnswer(c.get("session"), {
      scanId: id,
      since: query.since,
      cursor: undefined,
      // Nothing is cut to tokens here; the pages below go by number.
      tokensMax: Infinity,
    });
    const view = diffView(structuredContent as unknown as ScanDiff, query);
    linkNext(c, view.next_cursor);
    return c.json(view, 200);
  }, refusal(diff));
  app.openapi(raw, async (c) => {
    const { id } = c.req.valid("param");
    const { range, "if-range": ifRange, "if-none-match": ifNoneMatch } = c.req
      .valid("header");
    await recordReading(c, "GET /v1/scans/{id}/raw", {
      scan_id: id,
      ...(range === undefined ? {} : { range }),
    });
    const scan = await c.get("session").scan(id);
    return rawAnswer(scan, { range, ifRange, ifNoneMatch }) as never;
  }, refusal(raw));
  app.openapi(report, async (c) => {
    const { id } = c.req.valid("param");
    const { format } = c.req.valid("query");
    await recordReading(c, "GET /v1/scans/{id}/report", {
      scan_id: id,
      format,
    });
    const scan = await c.get("session").scan(id);
    return await reportAnswer(scan, format, deps) as never;
  }, refusal(report));
}

function diffView(
  diff: ScanDiff,
  { limit = FINDINGS_DEFAULT, cursor }: z.infer<typeof DiffQuery>,
): z.infer<typeof DiffSchema> {
  const { items, next } = partOf(diff.changes, cursor, limit);
  // Plain JSON of exactly this form; only its lists are not to be written to.
  const plain = { ...diff, changes: items } as unknown as Omit<
    z.infer<typeof DiffSchema>,
    "changes_total" | "next_cursor"
  >;
  return { ...plain, changes_total: diff.changes.length, next_cursor: next };
}
