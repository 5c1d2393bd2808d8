/**
 * The rows of a scan go, in batches: SQLite stands still in each of them.
 *
 * @module
 */
import type { Link, Write } from "./link.ts";
import { ROWS_PER_SCAN } from "./tables.ts";
import { removeTexts } from "./texts.ts";

/** Rows of one transaction. */
const ROWS_BATCH = 200;

/** Pieces of raw output of one transaction. */
const RAW_BATCH = 4;

/** What else each transaction does, so that no end of the process leaves rows and counts apart. */
export interface Around {
  /** Looks whether the rows may still go; throws if not. */
  readonly before: (write: Write) => Promise<unknown>;
  /** Hears that some of them are gone. */
  readonly after: (write: Write) => Promise<unknown>;
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

const ALONE: Around = { before: nothing, after: nothing };

function rangeOf(seq: number): [number, number] {
  return [seq * ROWS_PER_SCAN, (seq + 1) * ROWS_PER_SCAN - 1];
}

/** Removes the ports of a scan, and their words from the index. */
export async function removePorts(
  link: Link,
  seq: number,
  around: Around = ALONE,
): Promise<void> {
  const [first, last] = rangeOf(seq);
  for (let more = true; more;) {
    more = await link.write(async (write) => {
      await around.before(write);
      const rows = await write.selectFrom("scan_ports").select([
        "id",
        "indexed",
      ])
        .where("id", ">=", first).where("id", "<=", last)
        .orderBy("id").limit(ROWS_BATCH).execute();
      const indexed = rows.filter((row) => row.indexed === 1);
      await removeTexts(link, write, indexed.map(({ id }) => id));
      const end = rows.at(-1);
      if (end === undefined) return false;
      await write.deleteFrom("scan_ports").where("id", ">=", first)
        .where("id", "<=", end.id).execute();
      await around.after(write);
      return rows.length === ROWS_BATCH;
    });
    await link.pause();
  }
}

/** Removes the hosts, or the paths, of a scan. */
export async function removeRows(
  link: Link,
  table: "scan_hosts" | "scan_paths",
  seq: number,
  around: Around = ALONE,
): Promise<void> {
  const [first, last] = rangeOf(seq);
  for (let more = true; more;) {
    more = await link.write(async (write) => {
      await around.before(write);
      const rows = await write.selectFrom(table).select("id")
        .where("id", ">=", first).where("id", "<=", last)
        .orderBy("id").limit(ROWS_BATCH).execute();
      const end = rows.at(-1);
      if (end === undefined) return false;
      await write.deleteFrom(table).where("id", ">=", first)
        .where("id", "<=", end.id).execute();
      await around.after(write);
      return rows.length === ROWS_BATCH;
    });
    await link.pause();
  }
}

/** Removes what is kept of the output of a scan. */
export async function removeRaw(
  link: Link,
  seq: number,
  around: Around = ALONE,
): Promise<void> {
  for (let more = true; more;) {
    more = await link.write(async (write) => {
      await around.before(write);
      const rows = await write.selectFrom("scan_raw").select("at")
        .where("scan_seq", "=", seq).orderBy("at").limit(RAW_BATCH).execute();
      const end = rows.at(-1);
      if (end === undefined) return false;
      await write.deleteFrom("scan_raw").where("scan_seq", "=", seq)
        .where("at", "<=", end.at).execute();
      await around.after(write);
      return rows.length === RAW_BATCH;
    });
    await link.pause();
  }
}
