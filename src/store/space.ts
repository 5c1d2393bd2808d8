/**
 * How much room the store takes, and giving back what it does not use.
 *
 * @module
 */
import { sql } from "kysely";
import { VACUUM_TIMEOUT_MS } from "./bounded_pool.ts";
import { isLocked } from "./fault.ts";
import type { Link, Read } from "./link.ts";

/** Pages that SQLite gives back in one go: it stands still meanwhile. */
const PAGES_BATCH = 200;

/** Pages of the full-text index that are merged in one go. */
const MERGE_PAGES = 16;

/** Most milliseconds of merging: what is left then is left for the next time. */
const MERGES_MS = 60_000;

/** PostgreSQL's tables that are written anew: those that are worth it and done in seconds. */
const REWRITE_BYTES_MIN = 262_144;
const REWRITE_BYTES_MAX = 128 * 1_048_576;

/** The share of a table that has to be free for it. */
const REWRITE_SHARE = 0.25;

/** Most milliseconds that a table is waited for: whoever comes behind waits as well. */
const VACUUM_LOCK_MS = 2_000;

/** What a row takes beside its columns, what alignment costs included. */
const ROW_BYTES = 36;

/** What a piece of a row that stands beside its table takes. */
const ASIDE_BYTES = 2_040;

const TABLES = [
  "scans",
  "scan_hosts",
  "scan_ports",
  "scan_paths",
  "scan_raw",
  "scan_scopes",
  "inventory_hosts",
  "inventory_services",
  "texts",
  "approvals",
] as const;

type TableName = typeof TABLES[number];

/** Bytes that the store takes on its disk. */
export async function bytesOnDisk(link: Link): Promise<number> {
  if (link.kind === "postgres") {
    return sum((await roomOf(link)).map(({ size }) => size));
  }
  return await link.read(async (db) =>
    await pragma(db, "page_count") * await pragma(db, "page_size")
  );
}

/** Bytes that hold something: room that the database will use again does not count. */
export async function bytesInUse(link: Link): Promise<number> {
  if (link.kind === "postgres") {
    return sum((await roomOf(link)).map(inUse));
  }
  return await link.read(async (db) => {
    const pages = await pragma(db, "page_count") -
      await pragma(db, "freelist_count");
    return pages * await pragma(db, "page_size");
  });
}

/**
 * Gives room back to the system, a little at a time.
 *
 * @param link The database.
 */
export async function returnSpace(link: Link): Promise<void> {
  if (link.kind === "sqlite") return await returnPages(link);
  // Plain: it gives back what is free at the end of a table and lets everybody work meanwhile. Where
  // the user may not, the server says so in a notice and does nothing.
  for (const table of TABLES) await vacuum(link, "analyze", table);
  for (const room of await roomOf(link)) {
    const free = room.size - inUse(room);
    const worth = room.size >= REWRITE_BYTES_MIN &&
      room.size <= REWRITE_BYTES_MAX && free > room.size * REWRITE_SHARE;
    if (!worth) continue;
    await vacuum(link, "full", room.name);
    // The new table has no figures yet.
    await vacuum(link, "analyze", room.name);
  }
}

/**
 * Has PostgreSQL count its rows anew: after a removal that was cut short it would go by old figures.
 *
 * @param link The database.
 */
export async function renewFigures(link: Link): Promise<void> {
  if (link.kind === "sqlite") return;
  for (const table of TABLES) {
    await link.read((db) => sql`analyze ${sql.table(table)}`.execute(db));
  }
}

/**
 * Has PostgreSQL clean a table up, or write it anew without its holes. Nobody else uses it during the
 * second, so only tables are rewritten that take seconds; in greater ones the holes are filled by what
 * comes. A table that others hold on to is left for the next time.
 */
async function vacuum(
  link: Link,
  how: "analyze" | "full",
  table: TableName,
): Promise<void> {
  const [limit, wait] = [VACUUM_TIMEOUT_MS, VACUUM_LOCK_MS].map((ms) =>
    sql.raw(String(ms))
  );
  await link.read((db) =>
    db.connection().execute(async (connection) => {
      await sql`set statement_timeout = ${limit}`.execute(connection);
      await sql`set lock_timeout = ${wait}`.execute(connection);
      try {
        await sql`vacuum (${sql.raw(how)}) ${sql.table(table)}`
          .execute(connection);
      } catch (thrown) {
        if (!isLocked(thrown)) throw thrown;
      } finally {
        await sql`reset statement_timeout`.execute(connection);
        await sql`reset lock_timeout`.execute(connection);
      }
    })
  );
}

async function returnPages(link: Link): Promise<void> {
  await mergeTexts(link);
  for (let left = await freePages(link); left > 0;) {
    await link.read((db) =>
      sql`pragma incremental_vacuum(${sql.raw(String(PAGES_BATCH))})`.execute(
        db,
      )
    );
    await link.pause();
    const now = await freePages(link);
    if (now >= left) break;
    left = now;
  }
  // Last: what was given back is in the log until the file itself is cut.
  await link.read((db) => sql`pragma wal_checkpoint(truncate)`.execute(db));
}

/** The index keeps removed documents until its parts are merged. */
async function mergeTexts(link: Link): Promise<void> {
  const until = performance.now() + MERGES_MS;
  for (let goes = 0; performance.now() < until; goes++) {
    const pages = sql.raw(String(goes === 0 ? -MERGE_PAGES : MERGE_PAGES));
    const changed = await link.write(async (write) => {
      const before = await changes(write);
      await sql`insert into texts(texts, rank) values ('merge', ${pages})`
        .execute(write);
      return await changes(write) - before;
    });
    // One change is the command itself.
    if (changed < 2) return;
    await link.pause();
  }
}

async function changes(db: Read): Promise<number> {
  const { rows } = await sql<{ n: number }>`select total_changes() as n`
    .execute(db);
  return rows[0]?.n ?? 0;
}

async function freePages(link: Link): Promise<number> {
  return await link.read((db) => pragma(db, "freelist_count"));
}

async function pragma(db: Read, name: string): Promise<number> {
  const { rows } = await sql.raw<Record<string, number>>(`pragma ${name}`)
    .execute(db);
  return rows[0]?.[name] ?? 0;
}

/** A table of PostgreSQL. */
interface Room {
  readonly name: TableName;
  /** With its indexes and what stands beside it. */
  readonly size: number;
  /** Its rows' own pages. */
  readonly main: number;
  /** About what its rows take of them; null while the server has no figures of it. */
  readonly rows: number | null;
}

/** What is free in the rows' pages is taken to be free in their indexes alike. */
function inUse({ size, main, rows }: Room): number {
  if (rows === null || main === 0) return size;
  return Math.round(size * Math.min(1, rows / main));
}

/**
 * Looks at the tables, by the server's own figures: their number of rows, as it counts along or as it
 * was at the last look, whichever is more, and how wide they are. What stands beside a table because
 * it is too wide is counted in pieces of two thousand bytes.
 */
async function roomOf(link: Link): Promise<Room[]> {
  const tables = sql.join(TABLES.map((table) => sql`(${table})`));
  const { rows } = await link.read((db) =>
    sql<Room>`
      select t.name, pg_total_relation_size(c.oid) as size,
        pg_relation_size(c.oid)
          + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) as main,
        cast(w.width * greatest(c.reltuples, s.n_live_tup)
          + ${ASIDE_BYTES} * coalesce(aside.reltuples, 0) as bigint) as rows
      from (values ${tables}) as t(name)
      join pg_class as c on c.oid = to_regclass(t.name)
      left join pg_class as aside on aside.oid = c.reltoastrelid
      left join pg_stat_all_tables as s on s.relid = c.oid
      left join lateral (
        select sum(p.avg_width) + ${ROW_BYTES} as width
        from pg_stats as p join pg_namespace as n on n.nspname = p.schemaname
        where n.oid = c.relnamespace and p.tablename = c.relname
      ) as w on c.reltuples >= 0 and coalesce(aside.reltuples, 0) >= 0`.execute(
      db,
    )
  );
  return rows;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
