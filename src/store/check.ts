/**
 * Whether a store is sound: the file itself, and whether its tables and the index agree.
 *
 * @module
 */
import { sql } from "kysely";
import { toAppError } from "@/error/app_error.ts";
import type { Link } from "./link.ts";
import { ROWS_PER_SCAN } from "./tables.ts";

/** Something that is not as it should be. */
export interface StoreProblem {
  /** What was looked at. */
  readonly check: string;
  readonly problem: string;
  /** What to do about it. */
  readonly way: string;
}

/** Complaints of SQLite about one file that are told. */
const COMPLAINTS_MAX = 20;

/** What to do about a file that is damaged. */
export const ASIDE: string =
  "move the database file with its -wal and -shm aside and put a backup in its place, or start with an empty history; what the file still holds can be read with the sqlite3 program's .recover";

const REPORT =
  "this is a fault of the program or of the disk: keep a copy of the database and report it";

const INDEX =
  "searches may miss or repeat services; move the database aside, or remove the scans in question by retention";

/** Rows that refer to nothing, and counts that are not those of the rows. */
const QUERIES: readonly (readonly [check: string, from: string])[] = [
  [
    "ports without a host",
    "scan_ports p where not exists (select 1 from scan_hosts h where h.id = p.host_id)",
  ],
  [
    "hosts without a scan",
    "scan_hosts h where not exists (select 1 from scans s where s.seq = h.scan_seq)",
  ],
  [
    "paths without a scan",
    "scan_paths p where not exists (select 1 from scans s where s.seq = p.scan_seq)",
  ],
  [
    "raw output without a scan",
    "scan_raw r where not exists (select 1 from scans s where s.seq = r.scan_seq)",
  ],
  [
    "hosts numbered for another scan",
    `scan_hosts h where h.id < h.scan_seq * ${ROWS_PER_SCAN} or h.id >= (h.scan_seq + 1) * ${ROWS_PER_SCAN}`,
  ],
  [
    "scans whose number of hosts is wrong",
    "scans s where removing = 0 and host_count <> (select count(*) from scan_hosts h where h.scan_seq = s.seq)",
  ],
  [
    "scans whose number of open ports is wrong",
    "scans s where removing = 0 and service_count <> (select count(*) from scan_hosts h join scan_ports p on p.host_id = h.id where h.scan_seq = s.seq and p.state = 'open')",
  ],
  [
    "scans whose raw output has gaps",
    "scans s where removing = 0 and raw_bytes <> (select coalesce(sum(length), 0) from scan_raw r where r.scan_seq = s.seq)",
  ],
  [
    "scans under an engagement or a tag of another tenant",
    "scan_scopes x join scans s on s.id = x.scan_id join scopes c on c.id = x.scope_id where c.tenant <> s.tenant",
  ],
  [
    "scans that ended without a time",
    "scans s where status not in ('queued', 'running') and finished_at is null",
  ],
  [
    "open ports that the inventory does not know",
    "scan_ports p join scan_hosts h on h.id = p.host_id join scans s on s.seq = h.scan_seq where p.state = 'open' and s.removing = 0 and not exists (select 1 from inventory_services i where i.scope_id = (select c.id from scopes c where c.tenant = s.tenant and c.kind = 'all' and c.name = '') and i.address_key = h.address_key and i.port = p.port and i.protocol = p.protocol)",
  ],
];

/**
 * Checks a store.
 *
 * @param link The database.
 * @returns What is wrong; empty if nothing is.
 */
export async function checkStore(link: Link): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  const steps = link.kind === "sqlite"
    ? [fileProblems, foreignKeyProblems, indexProblems, rowProblems]
    : [indexProblems, rowProblems];
  for (const step of steps) {
    try {
      problems.push(...await step(link));
    } catch (thrown) {
      const { message, detail } = toAppError(thrown);
      const problem = detail === undefined ? message : `${message} (${detail})`;
      problems.push({ check: "reading the store", problem, way: ASIDE });
    }
    // What a damaged file says further on is of no use.
    if (problems.length > 0 && step === fileProblems) return problems;
  }
  return problems;
}

async function fileProblems(link: Link): Promise<StoreProblem[]> {
  const { rows } = await link.read((db) =>
    sql<{ integrity_check: string }>`pragma integrity_check(${
      sql.raw(String(COMPLAINTS_MAX))
    })`.execute(db)
  );
  return rows.filter((row) => row.integrity_check !== "ok").map((row) => ({
    check: "the file's structure",
    problem: row.integrity_check,
    way: ASIDE,
  }));
}

async function foreignKeyProblems(link: Link): Promise<StoreProblem[]> {
  const { rows } = await link.read((db) =>
    sql<{ table: string; parent: string }>`pragma foreign_key_check`.execute(db)
  );
  return rows.slice(0, COMPLAINTS_MAX).map(({ table, parent }) => ({
    check: "references",
    problem: `a row of ${table} refers to no row of ${parent}`,
    way: REPORT,
  }));
}

async function rowProblems(link: Link): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  for (const [check, from] of QUERIES) {
    const count = await countOf(link, from);
    if (count > 0) {
      problems.push({ check, problem: `${count} of them`, way: REPORT });
    }
  }
  return problems;
}

async function indexProblems(link: Link): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  if (link.kind === "sqlite") {
    await link.write((write) =>
      sql`insert into texts(texts) values ('integrity-check')`.execute(write)
    );
  }
  // The documents themselves are not kept by SQLite's index; their ids are.
  const documents = link.kind === "sqlite" ? "texts_docsize" : "texts";
  const checks = [
    [
      "services that cannot be searched for",
      `scan_ports p where p.indexed = 1 and not exists (select 1 from ${documents} t where t.id = p.id)`,
    ],
    [
      "entries of the full-text index without a service",
      `${documents} t where not exists (select 1 from scan_ports p where p.id = t.id and p.indexed = 1)`,
    ],
  ] as const;
  for (const [check, from] of checks) {
    const count = await countOf(link, from);
    if (count > 0) {
      problems.push({ check, problem: `${count} of them`, way: INDEX });
    }
  }
  return problems;
}

/** Counts rows. The text is one of those above. */
async function countOf(link: Link, from: string): Promise<number> {
  const { rows } = await link.read((db) =>
    sql.raw<{ count: number }>(`select count(*) as count from ${from}`)
      .execute(db)
  );
  return rows[0]?.count ?? 0;
}
