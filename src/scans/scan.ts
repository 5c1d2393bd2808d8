/**
 * A scan from its acceptance to its end, and the port through which its life is kept.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type { AskedBy } from "@/store/asked_by.ts";
import { isEnd, STORED_STATUSES } from "@/store/scan_record.ts";
import type { Report } from "@/tools/report.ts";
import type { Progress, ToolName } from "@/tools/tool.ts";

/** Where a scan is in its life. The first two are alive, the others are ends. */
export const SCAN_STATUSES = STORED_STATUSES;

/** One of {@linkcode SCAN_STATUSES}. */
export type ScanStatus = typeof SCAN_STATUSES[number];

/** One scan. A record is replaced, never changed in place. */
export interface Scan {
  /** Sorts by time of acceptance. */
  readonly id: string;
  /** Whose it is. */
  readonly tenant: string;
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
  /** The engagement that it belongs to. */
  readonly engagement: string | null;
  readonly tags: readonly string[];
  /** Who asked, as the client names itself, or null. */
  readonly client: string | null;
  /** The same as its credentials proved it; null where there were none. */
  readonly askedBy: AskedBy | null;
  /** Stdout of the tool as it printed it. */
  readonly raw: Uint8Array | null;
  readonly rawTruncated: boolean;
}

/** A scan without what it found, as lists show it. */
export interface ScanHead extends Omit<Scan, "report" | "raw"> {
  /** What came of it, in one sentence. */
  readonly summary: string;
}

/** Which scans of a tenant to list. What is left out does not narrow. */
export interface ScanFilter {
  readonly tenant: string;
  readonly status?: ScanStatus;
  readonly tool?: ToolName;
  readonly engagement?: string;
  /** Each of them. */
  readonly tags?: readonly string[];
  /** Only scans older than this id: the cursor of the next page. */
  readonly before?: string;
  /** Most scans, newest first. */
  readonly limit: number;
}

/** What tells a request from another one of the same tenant. */
export interface RequestKeys {
  /** The client's own, or null. */
  readonly idempotencyKey: string | null;
  /** Equal for equal requests. */
  readonly digest: string;
}

/** What came of recording a scan. */
export interface Recorded {
  readonly scan: Scan;
  /** False: the key made this scan before. */
  readonly created: boolean;
}

/** Keeps scans: the record of one is kept from `create` on, and its result from `end` on. */
export interface Scans {
  /**
   * Records a scan before it starts.
   *
   * @throws {AppError} `conflict` if the idempotency key made another request.
   */
  create(scan: Scan, keys: RequestKeys): Promise<Recorded>;
  /** Takes over a scan that is queued and that a dead server left behind. */
  adopt(scan: Scan): void;
  /**
   * Says that a scan runs: when this resolves, whoever comes after a crash takes it for no scan that
   * waits.
   *
   * @throws {AppError} If that cannot be recorded: then it must not start.
   */
  start(id: string, startedAt: number): Promise<Scan>;
  /**
   * Replaces some fields of a scan that is alive here.
   *
   * @returns The scan as it is now.
   * @throws {AppError} `not_found`.
   */
  update(id: string, change: Partial<Omit<Scan, "id" | "tenant">>): Scan;
  /** Keeps what was found so far, for the case that the end is never reached. */
  found(id: string, report: Report): void;
  /** Ends a scan: when this resolves the result is kept, or will be as soon as it can be. */
  end(id: string, change: Partial<Omit<Scan, "id" | "tenant">>): Promise<Scan>;
  /** Of whichever tenant: the scan says whose it is. @throws {AppError} `not_found`. */
  get(id: string): Promise<Scan>;
  /** A tenant's scans, newest first. */
  list(filter: ScanFilter): Promise<readonly ScanHead[]>;
  /** The tenant's last scan of a request that succeeded at this time or later, or null. */
  answerTo(digest: string, since: number, tenant: string): Promise<Scan | null>;
}

/** Tells whether a scan is over. */
export function isOver(scan: Pick<Scan, "status">): boolean {
  return isEnd(scan.status);
}

/**
 * Gives what a scan was done with.
 *
 * @param scan The scan.
 * @returns `connect`, `syn`, …; null until it runs, as nobody knows before.
 */
export function scanTypeOf(
  { scanType }: Pick<Scan, "scanType">,
): string | null {
  return scanType === "" ? null : scanType;
}
