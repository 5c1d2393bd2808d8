/**
 * `history diff`: what changed from one scan to another, or since the last time.
 *
 * @module
 */
import { AppError } from "@/error/app_error.ts";
import {
  baselineFault,
  diffScans,
  mayBeBaseline,
  type ScanDiff,
} from "@/scans/diff.ts";
import { diffLines } from "@/scans/diff_text.ts";
import { headOfStored } from "@/scans/load.ts";
import type { Scan } from "@/scans/scan.ts";
import { writeCursor } from "@/store/cursor.ts";
import type { StoredScan } from "@/store/scan_record.ts";
import type { Store } from "@/store/store.ts";
import {
  type HistoryAccess,
  readScan,
  type TenantHistory,
} from "./history_access.ts";
import type { CommandLine } from "./history_command_line.ts";
import { cell, outStyle, printJson, printLines } from "./history_view.ts";
import type { World } from "./world.ts";

/** Scans that are looked at in one go, and in all, for one to compare with. */
const EARLIER_PAGE = 500;
const EARLIER_MAX = 10_000;

/** Most of them that are read in full: almost always the first one serves. */
const READ_MAX = 10;

/** Longest line: the addresses of a large network are many. */
const LINE_LENGTH_MAX = 2_000;

/**
 * Compares two scans.
 *
 * @param world The process.
 * @param line The command line.
 * @param access The history.
 * @throws {AppError} `not_found`, or `invalid_arguments` if they cannot be compared.
 */
export async function diff(
  world: World,
  line: CommandLine,
  access: HistoryAccess,
): Promise<void> {
  const [first = "", second] = line.operands;
  const { diff: found } = await compare(
    access,
    second === undefined ? null : first,
    second ?? first,
  );
  if (line.flag("json")) printJson(world, found);
  else printLines(world, paintedLines(world, found));
}

/**
 * Compares a scan with an earlier one.
 *
 * @param history Whose scans.
 * @param older The earlier one's id; null for the last that can be compared.
 * @param newer The scan's id.
 * @returns What changed, and the scan.
 * @throws {AppError} `not_found`, or `invalid_arguments` if they cannot be compared.
 */
export async function compare(
  history: TenantHistory,
  older: string | null,
  newer: string,
): Promise<{ readonly diff: ScanDiff; readonly scan: Scan }> {
  const [scan, earlier] = await Promise.all([
    readScan(history, newer),
    older === null ? null : readScan(history, older),
  ]);
  const before = earlier ?? await lastTime(history, scan);
  return { diff: diffScans(before, scan), scan };
}

/** The last scan before this one that covers some of the same and came to its end. */
async function lastTime(
  history: TenantHistory,
  newer: Scan,
): Promise<Scan> {
  let read = 0;
  for await (const earlier of earlierScans(history, newer.id)) {
    if (!mayBeBaseline(headOfStored(earlier), newer)) continue;
    if (read++ === READ_MAX) break;
    const scan = await readIfKept(history, earlier);
    if (scan !== null && baselineFault(scan, newer) === null) return scan;
  }
  throw new AppError(
    "not_found",
    `Cannot compare with the last time: no scan before "${newer.id}" that is kept covers the same and came to its end; deno task history list names those that are kept, and deno task history diff OLD NEW compares any two`,
  );
}

async function* earlierScans(
  { store, tenant }: TenantHistory,
  before: string,
): AsyncGenerator<StoredScan> {
  let cursor: string | null = writeCursor("scans", [before]);
  for (let seen = 0; cursor !== null && seen < EARLIER_MAX;) {
    const page: Awaited<ReturnType<Store["listScans"]>> = await store
      .listScans({ tenant, status: "succeeded" }, {
        limit: EARLIER_PAGE,
        cursor,
      });
    yield* page.items;
    seen += page.items.length;
    cursor = page.next;
  }
}

/** Retention may have taken it since it was listed. */
async function readIfKept(
  history: TenantHistory,
  { id }: StoredScan,
): Promise<Scan | null> {
  try {
    return await readScan(history, id);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "not_found") return null;
    throw thrown;
  }
}

function paintedLines(world: World, found: ScanDiff): readonly string[] {
  const style = outStyle(world);
  const paints = new Map([
    ["+", style.green],
    ["-", style.red],
    ["~", style.yellow],
  ]);
  return diffLines(found).map((text) => {
    const plain = cell(text, LINE_LENGTH_MAX);
    const paint = text.charAt(1) === " " ? paints.get(text.charAt(0)) : null;
    return paint?.(plain) ?? plain;
  });
}
