/**
 * What the store keeps of a scan, and the words in which it is asked for. Plain data: nothing here
 * knows of a database.
 *
 * @module
 */
import type { ErrorBody } from "@/error/app_error.ts";
import type {
  HostsReport,
  NamesReport,
  PathsReport,
  Report,
} from "@/tools/report.ts";
import type { Progress, ToolName } from "@/tools/tool.ts";
import type { AskedBy } from "./asked_by.ts";
import type { OfTenant } from "./tenant.ts";

/** Where a scan is in its life. The first two are alive, the others are ends. */
export const STORED_STATUSES = [
  "queued",
  "running",
  "succeeded",
  "partial",
  "failed",
  "timed_out",
  "cancelled",
  "interrupted",
] as const;

/** One of {@linkcode STORED_STATUSES}. */
export type StoredStatus = typeof STORED_STATUSES[number];

/** The ends of a scan's life. */
export type EndStatus = Exclude<StoredStatus, "queued" | "running">;

/** A report without its rows: those are asked for page by page. */
export type ReportHead =
  | Omit<HostsReport, "hosts">
  | Omit<PathsReport, "paths">
  | Omit<NamesReport, "names">;

/** One scan as it is kept. */
export interface StoredScan extends OfTenant {
  readonly id: string;
  readonly tool: ToolName;
  /** The request as the client sent it, parsed JSON. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly target: string;
  readonly status: StoredStatus;
  /** Times in milliseconds since the epoch. */
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly argv: readonly (readonly string[])[];
  readonly targets: readonly string[];
  readonly scanType: string;
  readonly progress: Progress | null;
  readonly error: ErrorBody | null;
  readonly notes: readonly string[];
  /** What came of it in one sentence, or null while it is alive. */
  readonly summary: string | null;
  readonly traceId: string;
  readonly engagement: string | null;
  readonly tags: readonly string[];
  /** Who asked, or null where nobody is told apart. */
  readonly client: string | null;
  /** The same as it was proved; null where nobody was. */
  readonly askedBy: AskedBy | null;
  readonly idempotencyKey: string | null;
  readonly requestDigest: string | null;
  /** Bytes of raw output that are kept, uncompressed. */
  readonly rawBytes: number;
  readonly rawTruncated: boolean;
  readonly report: ReportHead | null;
  /** Hosts that are kept. */
  readonly hostCount: number;
  /** Ports that are kept and are open. */
  readonly serviceCount: number;
  /** Paths and names that are kept. */
  readonly pathCount: number;
  /** How often it was queued again after its server had died. */
  readonly requeued: number;
}

/** A scan before it starts. */
export interface NewScan extends OfTenant {
  readonly id: string;
  readonly tool: ToolName;
  readonly request: Readonly<Record<string, unknown>>;
  readonly target: string;
  readonly queuedAt: number;
  readonly traceId: string;
  readonly targets?: readonly string[];
  readonly engagement?: string | null;
  readonly tags?: readonly string[];
  readonly client?: string | null;
  readonly askedBy?: AskedBy | null;
  /** Needs a {@linkcode NewScan.requestDigest} beside it. */
  readonly idempotencyKey?: string | null;
  /** Says which requests are the same: for the idempotency key and for answers from the store. */
  readonly requestDigest?: string | null;
}

/** What may change while a scan is alive. */
export interface ScanChange {
  readonly status?: StoredStatus;
  readonly startedAt?: number | null;
  readonly finishedAt?: number | null;
  readonly argv?: readonly (readonly string[])[];
  readonly targets?: readonly string[];
  readonly scanType?: string;
  readonly progress?: Progress | null;
  readonly error?: ErrorBody | null;
  readonly notes?: readonly string[];
  readonly summary?: string | null;
  readonly rawTruncated?: boolean;
}

/** How a scan ended. */
export interface ScanEnd extends Omit<ScanChange, "status" | "finishedAt"> {
  readonly status: EndStatus;
  readonly finishedAt: number;
  /** The whole report; what was kept before and is not in it stays. */
  readonly report?: Report | null;
  /** False: the idempotency key is free for another scan. @default {true} */
  readonly keepsKey?: boolean;
  /** What the scan proves of services that it does not list. @default nothing */
  readonly gone?: Gone;
  /** The whole raw output; it takes the place of what was kept before. */
  readonly raw?: Uint8Array | null;
}

/**
 * Says what a service is now that a scan looked at and did not list: `closed`, say, or null if the scan
 * does not tell.
 */
export type Gone = (
  address: string,
  protocol: string,
  port: number,
) => string | null;

/** Which scans of a tenant to list. What is left out does not narrow. */
export interface StoredScanFilter extends OfTenant {
  readonly status?: StoredStatus;
  readonly tool?: ToolName;
  readonly engagement?: string;
  /** Each of them. */
  readonly tags?: readonly string[];
  readonly client?: string;
  readonly target?: string;
  readonly requestDigest?: string;
  /** Queued at this time or later. */
  readonly since?: number;
  /** Queued before this time. */
  readonly until?: number;
}

/** Which part of a list. */
export interface PageOptions {
  /** Where the page before ended, as it said itself. */
  readonly cursor?: string | null;
  /** Most items. */
  readonly limit: number;
}

/** A part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins, or null if this is the last one. */
  readonly next: string | null;
}

/** Tells whether a scan is over. */
export function isEnd(status: StoredStatus): status is EndStatus {
  return status !== "queued" && status !== "running";
}
