/**
 * `scan_diff` in words: what changed from one scan to another, page by page.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import type { Engine } from "@/dispatch/engine.ts";
import {
  baselineFault,
  diffScans,
  mayBeBaseline,
  type ScanDiff,
} from "@/scans/diff.ts";
import { changeCount, summariseDiff } from "@/scans/diff_text.ts";
import type { Scan } from "@/scans/scan.ts";
import { jsonTokensOf, takeWhole, tokensOf } from "./budget.ts";
import { parseCursor } from "./page.ts";
import type { Answer } from "./result.ts";

/** Earlier scans that are looked through for one to compare with. */
const EARLIER_MAX = 500;

/** Most of them that are read in full: almost always the first one serves. */
const READ_MAX = 10;

/** What is asked. */
export interface DiffQuery {
  /** The later scan. */
  readonly scanId: string;
  /** The earlier one; without it the last scan that can be compared with. */
  readonly since: string | undefined;
  readonly cursor: string | undefined;
  readonly tokensMax: number;
}

/**
 * Compares two scans.
 *
 * @param engine Where the scans are.
 * @param query Which, and how much of the answer.
 * @returns The answer.
 * @throws {AppError} `not_found`, or `invalid_arguments` if they cannot be compared.
 */
export async function diffAnswer(
  engine: Engine,
  query: DiffQuery,
): Promise<Answer> {
  const { scanId, since } = query;
  const [newer, named] = await Promise.all([
    engine.scan(scanId),
    since === undefined ? null : engine.scan(since),
  ]);
  const older = named ?? await lastTime(engine, newer);
  const diff = diffScans(older, newer);
  const start = startOf(query.cursor, diff);
  const lines = summariseDiff(diff);
  const head = headOf(diff);
  const left = query.tokensMax - jsonTokensOf(head) -
    tokensOf(lines.join("\n"));
  const { items, end } = takeWhole(diff.changes, start, left, jsonTokensOf);
  // A page has at least one change, or a small budget would never come to an end.
  const changes = items.length > 0
    ? items
    : diff.changes.slice(start, start + 1);
  const next = Math.max(end, start + changes.length);
  const more = next < diff.changes.length
    ? `scan_diff ${
      JSON.stringify({
        scan_id: newer.id,
        since: older.id,
        cursor: String(next),
      })
    }`
    : null;
  return {
    structuredContent: {
      ...head,
      changes,
      ...(more === null ? {} : {
        truncated: {
          shown: changes.length,
          total: changeCount(diff),
          next: more,
        },
      }),
    },
    text: [...lines, ...(more === null ? [] : [`More: ${more}`])].join("\n"),
    isError: false,
  };
}

/** The last scan before this one that covers some of the same and came to its end. */
async function lastTime(engine: Engine, newer: Scan): Promise<Scan> {
  const earlier = await engine.scans({
    status: "succeeded",
    before: newer.id,
    limit: EARLIER_MAX,
  });
  // What a scan found is in no list, and whether that was cut is what only the whole tells.
  const likely = earlier.filter((head) => mayBeBaseline(head, newer));
  for (const { id } of likely.slice(0, READ_MAX)) {
    const scan = await readIfKept(engine, id);
    if (scan !== null && baselineFault(scan, newer) === null) return scan;
  }
  throw new AppError(
    "not_found",
    "Cannot compare with the last time: no earlier scan that is kept covers the same and came to " +
      "its end; scan_list names those that are kept, and since takes any of them",
  );
}

/** Where a page begins: nothing ends behind the last change. */
function startOf(
  cursor: string | undefined,
  { changes }: ScanDiff,
): number {
  const start = parseCursor(cursor);
  if (start === 0 || start < changes.length) return start;
  throw new AppError(
    "invalid_arguments",
    `Cannot use the argument "cursor": there are ${changes.length} changes; leave it out to start at the beginning`,
  );
}

/** Retention may have taken it since it was listed. */
async function readIfKept(engine: Engine, id: string): Promise<Scan | null> {
  try {
    return await engine.scan(id);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "not_found") return null;
    throw thrown;
  }
}

function headOf(diff: ScanDiff): Omit<ScanDiff, "changes"> {
  const { changes: _changes, ...head } = diff;
  return head;
}
