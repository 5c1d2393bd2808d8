/**
 * A scan from its acceptance to its end, and the port through which its life is kept.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type { Report } from "@/tools/report.ts";
import type { Progress, ToolName } from "@/tools/tool.ts";

/** Where a scan is in its life. The first two are alive, the others are ends. */
export const SCAN_STATUSES = [
  "queued",
  "running",
  "succeeded",
  "partial",
  "failed",
  "timed_out",
  "cancelled",
  "interrupted",
] as const;

/** One of {@linkcode SCAN_STATUSES}. */
export type ScanStatus = typeof SCAN_STATUSES[number];

/** One scan. A record is replaced, never changed in place. */
export interface Scan {
  /** Sorts by time of acceptance. */
  readonly id: string;
  readonly tool: ToolName;
  /** The request as the client sent it, parsed JSON. */
  readonly request: Readonly<Record<string, unknown>>;
  /** The target as the request named it, for display. */
  readonly target: string;
  readonly status: ScanStatus;
  /** Times in milliseconds since the epoch. */
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** One command line a process. Empty until it runs. */
  readonly argv: readonly (readonly string[])[];
  /** Targets as scanned, addresses pinned. */
  readonly targets: readonly string[];
  /** `connect`, `syn`, …: what was used, whatever was asked. Empty until it runs. */
  readonly scanType: string;
  readonly progress: Progress | null;
  readonly report: Report | null;
  readonly error: ErrorBody | null;
  readonly notes: readonly string[];
  /** 32 hex digits. */
  readonly traceId: string;
  /** Stdout of the tool as it printed it. */
  readonly raw: Uint8Array | null;
  readonly rawTruncated: boolean;
}

/** Which scans to list. */
export interface ScanFilter {
  readonly status?: ScanStatus;
  readonly tool?: ToolName;
  /** Only scans older than this id: the cursor of the next page. */
  readonly before?: string;
  /** Most scans, newest first. */
  readonly limit: number;
}

/** Keeps scans. In memory today; the durable store fills the same port. */
export interface Scans {
  /** Records a scan before it starts. */
  create(scan: Scan): void;
  /**
   * Replaces some of a scan's fields.
   *
   * @returns The scan as it is now.
   * @throws {AppError} `not_found`.
   */
  update(id: string, change: Partial<Omit<Scan, "id">>): Scan;
  /** @throws {AppError} `not_found`. */
  get(id: string): Scan;
  /** Newest first. */
  list(filter: ScanFilter): readonly Scan[];
  /** How many scans are alive. */
  readonly alive: number;
}

/** Tells whether a scan is over. */
export function isOver(scan: Scan): boolean {
  return scan.status !== "queued" && scan.status !== "running";
}
