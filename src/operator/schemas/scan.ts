/**
 * Scans as HTTP clients get them: the shapes of the MCP tools, whole.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";
import { ERROR_CODES } from "@/error/code.ts";
import { SCAN_STATUSES } from "@/scans/scan.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import {
  anyObject,
  boundedText,
  nextCursor,
  pageQuery,
  queryFlag,
  queryInteger,
  queryTexts,
  time,
  timeOrNull,
} from "./kinds.ts";
import { ReportSchema } from "./report.ts";
import { ProblemSchema } from "./problem.ts";

/** Why a scan did not succeed. */
export const ErrorSchema = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  retry_after: z.number().optional(),
  approval_id: z.string().optional(),
  guardrail: z.string().optional(),
}).openapi("ScanError");

const headFields = {
  scan_id: z.string(),
  tool: z.enum(TOOL_NAMES),
  target: z.string().openapi({ description: "As the request named it." }),
  status: z.enum(SCAN_STATUSES),
  summary: z.string().openapi({
    description: "What came of it, in the server's own words.",
  }),
  engagement: z.string().optional(),
  tags: z.array(z.string()).optional(),
  client: z.string().optional(),
  scan_type: z.string().nullable().openapi({
    description: "Null until it runs.",
  }),
  queued_at: time,
  started_at: timeOrNull,
  finished_at: timeOrNull,
  duration_seconds: z.number().nullable(),
  progress: z.object({
    percent: z.number().nullable(),
    remaining_seconds: z.number().nullable(),
    found: z.int(),
    phase: z.string(),
  }).optional().openapi({ description: "While it runs." }),
  error: ErrorSchema.optional(),
  trace_id: z.string(),
};

/** A scan without what it found. */
export const ScanHeadSchema = z.object(headFields).openapi("ScanHead");

/** A scan as a whole. */
export const ScanSchema = z.object({
  ...headFields,
  arguments: anyObject.openapi({
    description: "The tool's arguments as they were sent.",
  }),
  argv: z.array(z.array(z.string())).openapi({
    description: "The command lines, one a process. Empty until it runs.",
  }),
  targets: z.array(z.string()).openapi({
    description: "As they are scanned, addresses pinned.",
  }),
  notes: z.array(z.string()),
  raw: z.object({
    bytes: z.int(),
    truncated: z.boolean(),
  }).optional().openapi({
    description: "The raw output that is kept, under /raw.",
  }),
  report: ReportSchema.optional(),
  cached: z.literal(true).optional().openapi({
    description: "Nothing was scanned now: an earlier scan answered.",
  }),
  age_seconds: z.int().optional().openapi({
    description: "Seconds since that scan ended.",
  }),
}).openapi("Scan");

/** What a scan would do. */
export const PlanSchema = z.object({
  tool: z.enum(TOOL_NAMES),
  plan: z.object({
    allowed: z.boolean(),
    verdicts: z.array(z.object({
      guardrail: z.string(),
      allowed: z.boolean(),
      reason: z.string(),
      error: ErrorSchema.optional(),
    })),
    argv: z.array(z.array(z.string())),
    targets: z.array(z.string()),
    address_count: z.number(),
    probes: z.number(),
    seconds: z.number(),
    scan_type: z.string(),
    permissions: z.array(z.string()),
    timeout_seconds: z.number(),
    notes: z.array(z.string()),
  }),
}).openapi("Plan");

/** The problem of a call whose scan was made and did not succeed. */
export const ScanProblemSchema = ProblemSchema.extend({
  scan: ScanSchema.optional(),
}).openapi("ScanProblem", {
  description:
    "Problem details; scan is set where one was made, and holds what was found until then.",
});

/** Which scans. */
export const ScansQuery = z.strictObject({
  status: z.enum(SCAN_STATUSES).optional(),
  tool: z.enum(TOOL_NAMES).optional(),
  engagement: boundedText("Of this engagement only.", 200).optional(),
  tag: queryTexts("Of all these tags only: repeat it.", 200, 16).optional(),
  ...pageQuery,
});

/** A page of scans, newest first. */
export const ScanListSchema = z.object({
  scans: z.array(ScanHeadSchema),
  next_cursor: nextCursor,
}).openapi("ScanList");

/** Findings of a page where the request does not say, and the most of them. */
export const FINDINGS_DEFAULT = 200;
const FINDINGS_MAX = 1_000;

/** Which findings of a scan. */
export const FindingsQuery = z.strictObject({
  open_only: queryFlag("Open ports only.").optional(),
  port: queryInteger("This port only.", 1, 65_535).optional(),
  service: boundedText("This service only, for example http.", 64).optional(),
  host: boundedText("This address or name only.", 253).optional(),
  host_status: z.enum(["up", "down", "unknown"]).optional(),
  status_code: queryInteger(
    "Paths and virtual hosts with this HTTP status only.",
    100,
    599,
  ).optional(),
  fields: z.enum(["full", "brief", "addresses"]).optional().openapi({
    description:
      "full: all that is known. brief: no banners, no scripts. addresses: addresses and ranges alone. full if left out.",
  }),
  limit: queryInteger(
    `Most findings (ports, paths, names), ${FINDINGS_DEFAULT} if left out.`,
    1,
    FINDINGS_MAX,
  ).optional(),
  cursor: z.string().regex(
    /^[1-9]\d{0,6}$/,
    "it is no next_cursor of this list",
  )
    .optional().openapi({ description: "The next_cursor of the page before." }),
});

/** A page of a scan's findings. */
export const FindingsSchema = z.object({
  scan_id: z.string(),
  tool: z.enum(TOOL_NAMES),
  target: z.string(),
  status: z.enum(SCAN_STATUSES),
  summary: z.string(),
  report: ReportSchema.optional(),
  hosts: z.array(z.string()).optional().openapi({
    description:
      "For fields=addresses: addresses, and ranges a.b.c.d-e that a target may be.",
  }),
  shown: z.int(),
  matched: z.int().openapi({ description: "Findings over all pages." }),
  error: ErrorSchema.optional(),
  next_cursor: nextCursor,
}).openapi("Findings");

/** Which comparison. */
export const DiffQuery = z.strictObject({
  since: z.string().regex(
    /^[A-Za-z0-9_-]{1,64}$/,
    "an id has 1 to 64 letters, digits, - or _",
  ).optional().openapi({
    description: "The earlier scan's id; left out, the last that compares.",
  }),
  limit: queryInteger(
    `Most changes, ${FINDINGS_DEFAULT} if left out.`,
    1,
    FINDINGS_MAX,
  ).optional(),
  cursor: z.string().regex(
    /^[1-9]\d{0,6}$/,
    "it is no next_cursor of this list",
  )
    .optional().openapi({ description: "The next_cursor of the page before." }),
});
