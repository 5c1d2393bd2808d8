/**
 * The end of a scan.
 *
 * @module
 */
import { appendFindings, reportHeadOf } from "./findings.ts";
import { closeServices } from "./inventory_gone.ts";
import type { Link, Write } from "./link.ts";
import { appendRaw, clearRaw } from "./raw_output.ts";
import { removePorts, removeRows } from "./removal.ts";
import type { ScanEnd, StoredScan } from "./scan_record.ts";
import {
  changeRow,
  lockOwn,
  type OwnScan,
  refuseOther,
  rowOf,
} from "./scan_rows.ts";

/**
 * Forgets what a scan has found so far: it ran before, under a server that died, and only what it finds
 * now is its result.
 */
async function clearFindings(
  link: Link,
  own: OwnScan,
  seq: number,
): Promise<void> {
  const guard = (write: Write) => lockOwn(link, write, own);
  await removePorts(link, seq, guard);
  await removeRows(link, "scan_hosts", seq, guard);
  await removeRows(link, "scan_paths", seq, guard);
  const counts = { host_count: 0, service_count: 0, path_count: 0 };
  await link.write((write) => changeRow(write, own, {}, counts));
}

/**
 * Keeps the whole result and ends the scan. The rows come first, in batches, and the end last and at
 * once: whoever reads that a scan is over finds all of it, and a process killed in between leaves a
 * running scan with what was kept so far.
 *
 * @param link The database.
 * @param own The scan, and who writes.
 * @param end How it ended.
 * @returns The scan as it is now.
 * @throws {AppError} `not_found`; `conflict` if it is over or somebody else's.
 */
export async function finishScan(
  link: Link,
  own: OwnScan,
  end: ScanEnd,
): Promise<StoredScan> {
  const { report, raw, gone, keepsKey = true, ...change } = end;
  // Said before the work as well: a repeated end should not write a report first.
  const row = await link.read((db) => rowOf(db, own.id));
  refuseOther(row, own);
  if (report !== null && report !== undefined) {
    if (row.requeued > 0) await clearFindings(link, own, row.seq);
    await appendFindings(link, own, report, end.finishedAt);
    if (gone !== undefined) {
      const { targets = [], finishedAt } = end;
      await closeServices(link, own, { targets, finishedAt, gone });
    }
  }
  if (raw !== null && raw !== undefined) {
    await clearRaw(link, own);
    await appendRaw(link, own, raw);
  }
  const head = report === null || report === undefined
    ? {}
    : { report: JSON.stringify(reportHeadOf(report)) };
  return await link.write((write) =>
    changeRow(write, own, { progress: null, ...change }, {
      ...head,
      ...(keepsKey ? {} : { idempotency_key: null }),
    })
  );
}
