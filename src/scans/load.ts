/**
 * Scans out of the store.
 *
 * @module
 */
import type { StoredScan } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import type { Scan, ScanHead } from "./scan.ts";
import { summarize } from "./summary.ts";

/** Bytes of raw output that are read in one go. */
const RAW_PART_BYTES = 8 * 1_048_576;

/**
 * Reads a scan with all that it found.
 *
 * @param store The store.
 * @param id The scan's id.
 * @returns The scan.
 * @throws {AppError} `not_found`.
 */
export async function loadScan(
  store: Pick<Store, "getScan" | "getReport" | "getRaw">,
  id: string,
): Promise<Scan> {
  const stored = await store.getScan(id);
  const [report, raw] = await Promise.all([
    store.getReport(id),
    loadRaw(store, stored),
  ]);
  return { ...fieldsOf(stored), report, raw };
}

/**
 * Makes the head of a scan that is kept.
 *
 * @param stored The scan as it is kept.
 * @returns Its head.
 */
export function headOfStored(stored: StoredScan): ScanHead {
  const fields = fieldsOf(stored);
  const summary = stored.summary ??
    summarize({ ...fields, report: null, raw: null });
  return { ...fields, summary };
}

function fieldsOf(stored: StoredScan): Omit<Scan, "report" | "raw"> {
  return {
    id: stored.id,
    tenant: stored.tenant,
    tool: stored.tool,
    request: stored.request,
    target: stored.target,
    status: stored.status,
    queuedAt: stored.queuedAt,
    startedAt: stored.startedAt,
    finishedAt: stored.finishedAt,
    argv: stored.argv,
    targets: stored.targets,
    scanType: stored.scanType,
    progress: stored.progress,
    error: stored.error,
    notes: stored.notes,
    traceId: stored.traceId,
    engagement: stored.engagement,
    tags: stored.tags,
    client: stored.client,
    askedBy: stored.askedBy,
    rawTruncated: stored.rawTruncated,
  };
}

async function loadRaw(
  store: Pick<Store, "getRaw">,
  { id, rawBytes }: StoredScan,
): Promise<Uint8Array | null> {
  if (rawBytes === 0) return null;
  const raw = new Uint8Array(rawBytes);
  let at = 0;
  while (at < rawBytes) {
    const { bytes } = await store.getRaw(id, at, RAW_PART_BYTES);
    // Retention may take it away meanwhile.
    if (bytes.length === 0) break;
    raw.set(bytes, at);
    at += bytes.length;
  }
  return raw.subarray(0, at);
}
