/**
 * The end of a scan.
 *
 * @module
 */
import { sql } from "kysely";
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
  const around = {
    before: (write: Write) => lockOwn(link, write, own),
    after: (write: Write) => recount(write, seq),
  };
  await removePorts(link, seq, around);
  await removeRows(link, "scan_hosts", seq, around);
  await removeRows(link, "scan_paths", seq, around);
}

/** Counts what is left, where it goes: a process that is killed in between leaves a sound store. */
async function recount(write: Write, seq: number): Promise<void> {
  await sql`update scans set
    host_count = (select count(*) from scan_hosts h where h.scan_seq = scans.seq),
    service_count = (select count(*) from scan_hosts h
      join scan_ports p on p.host_id = h.id
      where h.scan_seq = scans.seq and p.state = 'open'),
    path_count = (select count(*) from scan_paths f where f.scan_seq = scans.seq)
    where seq = ${seq}`.execute(write);
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
