/**
 * What the log, the metrics and the audit log hear of a call and of its scan.
 *
 * @module
 */
import type { Audit, AuditEntry } from "@/audit/entry.ts";
import {
  type EventKind,
  type OutputTeller,
  progressData,
} from "@/events/event.ts";
import { foundData } from "@/events/found.ts";
import { outputData } from "@/events/output.ts";
import { type AppError, toAppError } from "@/error/app_error.ts";
import type { Printed } from "@/isolate/protocol.ts";
import type { Metrics } from "@/metrics/metrics.ts";
import type { Scan } from "@/scans/scan.ts";
import { summarize } from "@/scans/summary.ts";
import type { Report } from "@/tools/report.ts";
import { isToolName, type Progress } from "@/tools/tool.ts";

/** What happened to a call, for the log. */
export interface DispatchEvent {
  readonly kind: "refused" | "started" | "ended" | "unrecorded";
  readonly tool: string;
  readonly traceId: string;
  readonly scan?: Scan;
  readonly error?: AppError;
  readonly detail?: string;
  /** Of a scan that ended. */
  readonly cpuSeconds?: number;
}

/** A call that was refused. */
export interface Refused {
  readonly tool: string;
  readonly traceId: string;
  readonly tenant: string;
  readonly scanId?: string | null;
}

/** Who hears of it. */
export interface TellingOptions {
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly live: OutputTeller;
  /** Hears of what the log should hold; never of untrusted text in a template. */
  readonly onEvent: (event: DispatchEvent) => void;
}

/** Tells of calls and scans. */
export class Telling {
  readonly #options: TellingOptions;

  /** @param options Who hears of it. */
  constructor(options: TellingOptions) {
    this.#options = options;
  }

  /** A call that was refused, or a scan that never started. */
  refused(
    { tool, traceId, tenant, scanId = null }: Refused,
    error: AppError,
  ): void {
    this.#options.metrics.refused(tool, error.code, traceId);
    this.#options.onEvent({ kind: "refused", tool, traceId, error });
    this.#options.live.tell({
      kind: "call.refused",
      tenant,
      scanId,
      // The name may be anything that a client sent.
      data: {
        tool: isToolName(tool) ? tool : null,
        trace_id: traceId,
        error: error.toBody(),
      },
    });
  }

  /** A scan that was recorded and waits for a place. */
  queued(scan: Scan): void {
    this.#tell("scan.queued", scan, { client: scan.client });
  }

  /** How far a scan is. */
  progressed(scan: Scan, progress: Progress): void {
    this.#tell("scan.progress", scan, progressData(progress));
  }

  /** What a scan found since the last time. */
  found(scan: Scan, report: Report): void {
    this.#tell("scan.found", scan, foundData(report));
  }

  /** Whether somebody watches what a scan prints. */
  isWatched({ id, tenant }: Scan): boolean {
    return this.#options.live.isWatched({ tenant, scanId: id });
  }

  /** What a scan printed since the last time: nobody is told who does not watch. */
  printed(scan: Scan, printed: Printed): void {
    if (!this.isWatched(scan)) return;
    const { id, tenant } = scan;
    this.#options.live.tellOutput({ tenant, scanId: id }, outputData(printed));
  }

  /** A scan that has a place and begins. */
  started(scan: Scan): void {
    const { tool, traceId } = scan;
    this.#options.onEvent({ kind: "started", tool, traceId, scan });
    this.#tell("scan.started", scan, {});
  }

  /** A scan that is over, and what it took. */
  ended(
    scan: Scan,
    end: { error: AppError } | { detail: string },
    cpuSeconds: number,
  ): void {
    const { id, tool, traceId, status, error } = scan;
    void this.append({
      kind: "scan_ended",
      tenant: scan.tenant,
      scanId: id,
      traceId,
      tool,
      status,
      code: error?.code ?? null,
    }, scan);
    this.#options.onEvent({
      kind: "ended",
      tool,
      traceId,
      scan,
      cpuSeconds,
      ...end,
    });
    this.#tell("scan.ended", scan, {
      error: error ?? null,
      summary: summarize(scan),
    });
  }

  #tell(
    kind: EventKind,
    scan: Scan,
    data: Readonly<Record<string, unknown>>,
  ): void {
    const { id, tenant, tool, target, status } = scan;
    this.#options.live.tell({
      kind,
      tenant,
      scanId: id,
      data: { scan_id: id, tool, target, status, ...data },
    });
  }

  /** Records what is so already. */
  append(
    entry: AuditEntry,
    { tool, traceId }: { readonly tool: string; readonly traceId: string },
  ): Promise<void> {
    return this.recorded(this.#options.audit.append(entry), tool, traceId);
  }

  /** What is over already stays as it is: that it could not be recorded is for the log. */
  async recorded(
    recording: Promise<unknown>,
    tool: string,
    traceId: string,
  ): Promise<void> {
    try {
      await recording;
    } catch (thrown) {
      const error = toAppError(thrown);
      this.#options.onEvent({ kind: "unrecorded", tool, traceId, error });
    }
  }
}
