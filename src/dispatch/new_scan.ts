/**
 * A scan as it is first recorded, and what its state says to whoever waits for it.
 *
 * @module
 */
import type { Approval } from "@/approvals/approval.ts";
import { parseErrorBody } from "@/error/app_error.ts";
import type { Scan } from "@/scans/scan.ts";
import type { CallArguments, ProvedCall } from "./call.ts";
import type { Due } from "./runs.ts";

/** A request that passed every check, and what a second person said to it. */
export interface Approved extends Due {
  /** Null where none was needed. */
  readonly approval: Approval | null;
}

/**
 * Makes the record of a scan that waits for its place.
 *
 * @param call Whose call it is.
 * @param admitted What was allowed.
 * @param made Its id, the moment, and what it is kept under.
 * @returns The scan.
 */
export function newScan(
  { who, principal }: Pick<ProvedCall, "who" | "principal">,
  admitted: Approved,
  { id, queuedAt, engagement, tags }:
    & Pick<Scan, "id" | "queuedAt">
    & Pick<CallArguments, "engagement" | "tags">,
): Scan {
  return {
    id,
    tool: admitted.tool,
    request: admitted.request.arguments,
    target: admitted.target,
    status: "queued",
    queuedAt,
    startedAt: null,
    finishedAt: null,
    argv: [],
    targets: [],
    scanType: "",
    progress: null,
    report: null,
    error: null,
    notes: [],
    traceId: admitted.traceId,
    engagement,
    tags,
    client: who.client,
    tenant: admitted.tenant,
    askedBy: {
      kind: principal.kind,
      subject: principal.subject,
      roles: [...principal.roles],
      answered: admitted.approval?.demands ?? [],
      approval: admitted.approval?.id ?? null,
    },
    raw: null,
    rawTruncated: false,
  };
}

/**
 * Tells whether a scan has something to say to whoever asks for it once more, or will have.
 *
 * @param scan The scan.
 * @returns Whether it answers.
 */
export function isAnswer({ status, startedAt }: Scan): boolean {
  if (status === "queued" || status === "running") return true;
  return startedAt !== null && status !== "cancelled" &&
    status !== "interrupted";
}

/**
 * Refuses to answer with a scan that never started: it is a refusal to whoever waited for it.
 *
 * @param scan The scan.
 * @throws {AppError} Why it did not start.
 */
export function throwIfNeverStarted({ startedAt, error, status }: Scan): void {
  if (startedAt === null && error !== null && status !== "queued") {
    throw parseErrorBody(error);
  }
}
