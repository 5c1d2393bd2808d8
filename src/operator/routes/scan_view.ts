/**
 * Scans, plans and findings as JSON: the fields of the MCP tools, whole.
 *
 * @module
 */
import type { z } from "@hono/zod-openapi";
import type { CallAnswer } from "@/dispatch/engine.ts";
import { foldAddresses } from "@/mcp/addresses.ts";
import { assertFilterFits, reportOf, type Row, rowsOf } from "@/mcp/rows.ts";
import { isOver, type Scan, type ScanHead, scanTypeOf } from "@/scans/scan.ts";
import { headOf, summarize } from "@/scans/summary.ts";
import { isoTime } from "@/scans/times.ts";
import {
  FINDINGS_DEFAULT,
  type FindingsQuery,
  type FindingsSchema,
  type PlanSchema,
  type ScanHeadSchema,
  type ScanSchema,
} from "../schemas/scan.ts";
import { partOf } from "./pages.ts";

/**
 * Shows a scan as lists do.
 *
 * @param scan Its head.
 * @returns The JSON.
 */
export function scanHeadView(scan: ScanHead): z.infer<typeof ScanHeadSchema> {
  const { progress, engagement, client, error } = scan;
  return {
    scan_id: scan.id,
    tool: scan.tool,
    target: scan.target,
    status: scan.status,
    summary: scan.summary,
    ...(engagement === null ? {} : { engagement }),
    ...(scan.tags.length === 0 ? {} : { tags: [...scan.tags] }),
    ...(client === null ? {} : { client }),
    scan_type: scanTypeOf(scan),
    queued_at: iso(scan.queuedAt),
    started_at: isoTime(scan.startedAt),
    finished_at: isoTime(scan.finishedAt),
    duration_seconds: durationOf(scan),
    ...(progress === null || isOver(scan) ? {} : {
      progress: {
        percent: progress.percent,
        remaining_seconds: progress.remainingSeconds,
        found: progress.found,
        phase: progress.phase,
      },
    }),
    ...(error === null ? {} : { error }),
    trace_id: scan.traceId,
  };
}

/**
 * Shows a scan as a whole.
 *
 * @param scan The scan.
 * @param cachedSeconds Seconds since it ended, if it answers for another one.
 * @returns The JSON.
 */
export function scanView(
  scan: Scan,
  cachedSeconds: number | null = null,
): z.infer<typeof ScanSchema> {
  return {
    ...scanHeadView(headOf(scan)),
    arguments: scan.request,
    argv: scan.argv.map((line) => [...line]),
    targets: [...scan.targets],
    notes: [...scan.notes],
    ...(scan.raw === null ? {} : {
      raw: { bytes: scan.raw.length, truncated: scan.rawTruncated },
    }),
    ...(scan.report === null ? {} : { report: scan.report }),
    ...(cachedSeconds === null
      ? {}
      : { cached: true, age_seconds: cachedSeconds }),
  };
}

/**
 * Shows a plan.
 *
 * @param answer The plan.
 * @returns The JSON.
 */
export function planView(
  { tool, plan }: CallAnswer & { readonly kind: "plan" },
): z.infer<typeof PlanSchema> {
  return {
    tool,
    plan: {
      allowed: plan.verdicts.every(({ allowed }) => allowed),
      verdicts: plan.verdicts.map((verdict) => ({ ...verdict })),
      argv: plan.argv.map((line) => [...line]),
      targets: [...plan.targets],
      address_count: plan.addressCount,
      probes: plan.probes,
      seconds: plan.seconds,
      scan_type: plan.scanType,
      permissions: [...plan.permissions],
      timeout_seconds: plan.timeoutMs / 1_000,
      notes: [...plan.notes],
    },
  };
}

/**
 * Shows a page of a scan's findings.
 *
 * @param scan The scan.
 * @param query Which.
 * @returns The JSON.
 * @throws {AppError} `invalid_arguments` when a filter or the cursor does not fit.
 */
export function findingsView(
  scan: Scan,
  query: z.infer<typeof FindingsQuery>,
): z.infer<typeof FindingsSchema> {
  const head = {
    scan_id: scan.id,
    tool: scan.tool,
    target: scan.target,
    status: scan.status,
    summary: summarize(scan),
    ...(scan.error === null ? {} : { error: scan.error }),
  };
  const { report } = scan;
  if (report === null) {
    return { ...head, shown: 0, matched: 0, next_cursor: null };
  }
  const { limit = FINDINGS_DEFAULT, cursor, fields = "full" } = query;
  const filter = {
    openOnly: query.open_only,
    port: query.port,
    service: query.service,
    host: query.host,
    hostStatus: query.host_status,
    statusCode: query.status_code,
  };
  assertFilterFits(report, filter);
  const rows = rowsOf(report, filter);
  if (fields === "addresses" && report.kind !== "paths") {
    const groups = foldAddresses(addressesOf(rows));
    const { items, next } = partOf(groups, cursor, limit);
    return {
      ...head,
      hosts: items.map(({ text }) => text),
      shown: countOf(items),
      matched: countOf(groups),
      next_cursor: next,
    };
  }
  const { items, next } = partOf(rows, cursor, limit);
  return {
    ...head,
    report: reportOf(report, items, fields),
    shown: items.length,
    matched: rows.length,
    next_cursor: next,
  };
}

function addressesOf(rows: readonly Row[]): Set<string> {
  return new Set(
    rows.flatMap((row) =>
      row.kind === "host"
        ? [row.host.address]
        : row.kind === "name"
        ? [row.name.name]
        : []
    ),
  );
}

function countOf(groups: readonly { readonly count: number }[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}

function durationOf(
  { startedAt, finishedAt }: Pick<Scan, "startedAt" | "finishedAt">,
): number | null {
  if (startedAt === null || finishedAt === null) return null;
  return Math.max(0, Math.round(finishedAt - startedAt)) / 1_000;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
