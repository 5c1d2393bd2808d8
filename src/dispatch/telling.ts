/**
 * What the log, the metrics and the audit log hear of a call and of its scan.
 *
 * @module
 */
import type { Audit, AuditEntry } from "@/audit/entry.ts";
import { type AppError, toAppError } from "@/error/app_error.ts";
import type { Metrics } from "@/metrics/metrics.ts";
import type { Scan } from "@/scans/scan.ts";

/** What happened to a call, for the log. */
export interface DispatchEvent {
  readonly kind: "refused" | "started" | "ended" | "unrecorded";
  readonly tool: string;
  readonly traceId: string;
  readonly scan?: Scan;
  readonly error?: AppError;
  readonly detail?: string;
}

/** Who hears of it. */
export interface TellingOptions {
  readonly metrics: Metrics;
  readonly audit: Audit;
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
  refused(tool: string, traceId: string, error: AppError): void {
    this.#options.metrics.refused(tool, error.code, traceId);
    this.#options.onEvent({ kind: "refused", tool, traceId, error });
  }

  /** A scan that has a place and begins. */
  started(scan: Scan): void {
    const { tool, traceId } = scan;
    this.#options.onEvent({ kind: "started", tool, traceId, scan });
  }

  /** A scan that is over. */
  ended(scan: Scan, end: { error: AppError } | { detail: string }): void {
    const { id, tool, traceId, status, error } = scan;
    void this.append({
      kind: "scan_ended",
      scanId: id,
      traceId,
      tool,
      status,
      code: error?.code ?? null,
    }, scan);
    this.#options.onEvent({ kind: "ended", tool, traceId, scan, ...end });
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
