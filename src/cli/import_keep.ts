/**
 * Keeps an imported scan. The same file is never kept twice: its digest is the idempotency key, and an
 * import that was killed halfway is brought to its end by the next one of the same file.
 *
 * @module
 */
import { newScanId } from "@/scans/id.ts";
import { goneOf } from "@/scans/gone.ts";
import { summarize } from "@/scans/summary.ts";
import { type EndStatus, isEnd, type StoredScan } from "@/store/scan_record.ts";
import type { TenantHistory } from "./history_access.ts";
import type { ReadFile } from "./import_file.ts";
import { AT_TERMINAL, fillRandom } from "./world.ts";

/** Scans of one file that are looked at: a whole one, and those that a dead server left. */
const EARLIER_MAX = 100;

/** What a scan is kept under. */
export interface Labels {
  readonly engagement: string | null;
  readonly tags: readonly string[];
}

/** What is known of a file before it is kept. */
export interface Place {
  /** The scan that it is or becomes. */
  readonly id: string;
  readonly key: string;
  /**
   * `new`; `known` if the history has all of it; `broken` if it has a part of it, because an import was
   * killed.
   */
  readonly state: "new" | "known" | "broken";
}

/**
 * Finds out whether the history of a tenant has a file.
 *
 * @param history Where, and whose.
 * @param file The file.
 * @param nowMs Milliseconds since the epoch.
 * @returns Its place.
 */
export async function placeOf(
  { store, tenant }: TenantHistory,
  file: ReadFile,
  nowMs: number,
): Promise<Place> {
  const key = digestKey(file);
  const { items } = await store.listScans(
    { tenant, requestDigest: key },
    { limit: EARLIER_MAX },
  );
  const known = items.find(isWhole);
  if (known !== undefined) return { id: known.id, key, state: "known" };
  const broken = items.find(({ status }) => !isEnd(status));
  if (broken !== undefined) return { id: broken.id, key, state: "broken" };
  const id = newScanId(
    file.scan.startedAt ?? nowMs,
    fillRandom,
  );
  // What a dead server left under the key has ended as interrupted and stays that.
  return {
    id,
    key: items.length === 0 ? key : `${key}:${id}`,
    state: "new",
  };
}

/** A key of a request has another form. */
function digestKey({ digest }: ReadFile): string {
  return `import:${digest}`;
}

function isWhole({ status }: StoredScan): boolean {
  return status === "succeeded" || status === "partial";
}

/**
 * Keeps a file.
 *
 * @param history Where, and for whom.
 * @param file The file.
 * @param options Its place, what it is kept under, and the clock.
 * @returns The scan as it is kept.
 */
export async function keepFile(
  { store, tenant }: TenantHistory,
  file: ReadFile,
  options: {
    readonly place: Place;
    readonly labels: Labels;
    readonly traceId: string;
    readonly nowMs: number;
    readonly rawBytesMax: number;
  },
): Promise<StoredScan> {
  const { place, nowMs } = options;
  const { scan } = file;
  if (place.state === "new") {
    const { scan: made, created } = await store.createScan({
      id: place.id,
      tenant,
      tool: scan.tool,
      request: scan.request,
      target: scan.target,
      targets: scan.targets,
      // The time of the import: retention counts the age from there.
      queuedAt: nowMs,
      traceId: options.traceId,
      client: AT_TERMINAL.client,
      idempotencyKey: place.key,
      requestDigest: digestKey(file),
      ...options.labels,
    });
    // Another host imports the same file into the same database at this moment.
    if (!created) return made;
  } else {
    await store.adopt(place.id);
  }
  // One that waits would be taken for a request to scan if this process were killed.
  await store.updateScan(place.id, {
    status: "running",
    startedAt: scan.startedAt,
  });
  return await store.finishScan(place.id, {
    ...endOf(file, options.rawBytesMax),
    finishedAt: scan.finishedAt ?? scan.startedAt ?? nowMs,
  });
}

function endOf(
  { scan, digest, bytes, raw }: ReadFile,
  rawBytesMax: number,
) {
  const whole = { ...scan, ...UNUSED, queuedAt: scan.startedAt ?? 0 };
  const status: EndStatus = scan.status === "succeeded"
    ? "succeeded"
    : "partial";
  return {
    status,
    startedAt: scan.startedAt,
    argv: scan.argv,
    targets: scan.targets,
    scanType: scan.scanType,
    error: null,
    notes: [
      ...scan.notes,
      `SHA-256 of the file: ${digest}`,
      ...raw === null
        ? [
          `The file itself is not kept: it has ${bytes} bytes, and security.max_output_bytes is ${rawBytesMax}`,
        ]
        : [],
    ],
    summary: summarize(whole),
    rawTruncated: false,
    report: scan.report,
    gone: goneOf({ ...whole, status, raw }),
    raw,
  };
}

/** What a sentence about a scan has no use for. */
const UNUSED = {
  id: "",
  tenant: "",
  progress: null,
  traceId: "",
  engagement: null,
  tags: [],
  client: null,
  askedBy: null,
  raw: null,
  rawTruncated: false,
} as const;
