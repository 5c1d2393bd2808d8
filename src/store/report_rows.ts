/**
 * A scan's report, made of its rows again: by pages, or whole within bounds.
 *
 * @module
 */
import { type Selectable, sql } from "kysely";
import type {
  HostReport,
  NamesReport,
  PathsReport,
  PortReport,
  Report,
} from "@/tools/report.ts";
import { subnetRange } from "./address_key.ts";
import { limitOf, pageOf, readCursor, writeCursor } from "./cursor.ts";
import { hostOf, portOf } from "./host_rows.ts";
import type { Link, Read } from "./link.ts";
import { parseWhole, storable } from "./plain_text.ts";
import type { Page, PageOptions, ReportHead } from "./scan_record.ts";
import { rowOf } from "./scan_rows.ts";
import { ROWS_PER_SCAN, type ScanHostTable, type ScanTable } from "./tables.ts";

/** Ports of a page: one host may have more, and is a page of its own then. */
const PAGE_PORTS_MAX = 10_000;

/** Hosts of a page while a whole report is put together. */
const STEP = 500;

/** Rows and bytes that are read in one go where all are wanted: SQLite stands still meanwhile. */
const STEP_ROWS = 2_048;
const STEP_BYTES = 4 * 1_048_576;

/** Steps that are asked for at the same time. */
const AHEAD = 3;

/** Which hosts of a report. What is left out does not narrow. */
export interface ReportFilter {
  /** An address or a CIDR network. */
  readonly subnet?: string;
  readonly hostStatus?: string;
  /** Hosts with a port that is all of this. */
  readonly port?: number;
  readonly protocol?: string;
  readonly state?: string;
  readonly service?: string;
}

/** Bounds of a whole report. */
export interface ReportOptions {
  /** Most hosts, or most paths or names. */
  readonly itemsMax: number;
  /** Most ports over all hosts. */
  readonly portsMax: number;
}

/**
 * Lists the hosts of a report with their ports, in order of address; ports by number.
 *
 * @param link The database.
 * @param id The scan.
 * @param filter Which hosts.
 * @param page Which part.
 * @returns The page. It may hold fewer hosts than asked for where they have very many ports.
 * @throws {AppError} `not_found`; `invalid_arguments`.
 */
export async function reportHosts(
  link: Link,
  id: string,
  filter: ReportFilter,
  page: PageOptions,
): Promise<Page<HostReport>> {
  const limit = limitOf(page);
  const [after] = readCursor("hosts", [""], page.cursor) ?? [];
  return await link.read(async (db) => {
    const { seq } = await rowOf(db, id);
    const rows = await hostRows(db, seq, filter, after, limit + 1);
    const kept = await withinPorts(db, rows);
    const ports = await portsOf(db, kept.slice(0, limit).map((row) => row.id));
    // A row more than is shown says that there is a next page.
    return pageOf(
      kept.length < rows.length ? [...kept, ...rows.slice(0, 1)] : kept,
      Math.min(limit, kept.length),
      (row) => hostOf(row, ports.get(row.id) ?? []),
      (row) => writeCursor("hosts", [row.address_key]),
    );
  });
}

/**
 * Lists the paths or names of a report in the order in which they were found.
 *
 * @param link The database.
 * @param id The scan.
 * @param page Which part.
 * @returns The page.
 * @throws {AppError} `not_found`; `invalid_arguments`.
 */
export async function reportPaths(
  link: Link,
  id: string,
  page: PageOptions,
): Promise<Page<PathsReport["paths"][number] | NamesReport["names"][number]>> {
  const limit = limitOf(page);
  const [after] = readCursor("paths", [0], page.cursor) ?? [];
  return await link.read(async (db) => {
    const { seq } = await rowOf(db, id);
    const first = seq * ROWS_PER_SCAN;
    const rows = await db.selectFrom("scan_paths").select(["id", "detail"])
      .where("id", ">", first + Math.max(after ?? 0, 0))
      .where("id", "<", first + ROWS_PER_SCAN)
      .orderBy("id").limit(limit + 1).execute();
    return pageOf(
      rows,
      limit,
      (row) => JSON.parse(row.detail),
      // Without the scan's number, which would tell how many scans all tenants have made.
      (row) => writeCursor("paths", [row.id - first]),
    );
  });
}

/**
 * Gives a report whole.
 *
 * @param link The database.
 * @param id The scan.
 * @param options How much of it at most; `truncated` says what was left out.
 * @returns The report, or null if the scan has none.
 * @throws {AppError} `not_found`.
 */
export async function getReport(
  link: Link,
  id: string,
  options: ReportOptions,
): Promise<Report | null> {
  const row = await link.read((db) => rowOf(db, id));
  if (row.report === null) return null;
  const head = JSON.parse(row.report) as ReportHead;
  const { itemsMax, portsMax } = options;
  if (head.kind === "hosts" && row.rows_used <= Math.min(itemsMax, portsMax)) {
    return { ...head, hosts: await allHosts(link, row) };
  }
  const found = await collect<HostReport | unknown>(
    (page) =>
      head.kind === "hosts"
        ? reportHosts(link, id, {}, page)
        : reportPaths(link, id, page),
    itemsMax,
    portsMax,
  );
  await link.pause();
  const report = { ...head, ...listOf(head, found.items) } as Report;
  if (!found.cut) return report;
  const truncated =
    `the first ${found.items.length} entries are shown; ask for pages of the report for the rest`;
  return { ...report, truncated };
}

/**
 * Reads every host of a scan that is known to fit: its rows lie together, so that they are read one
 * after the other as they lie, and put in order here. The next ones are on their way while those that
 * came are taken apart.
 */
async function allHosts(
  link: Link,
  row: Selectable<ScanTable>,
): Promise<HostReport[]> {
  const first = row.seq * ROWS_PER_SCAN + 1;
  const end = first + row.rows_used;
  const step = stepOf(row);
  const read = (at: number): Promise<string | null> => {
    const part = link.read((db) =>
      packedPorts(link, db, at, Math.min(at + step, end))
    );
    // Heard of where it is waited for, which another failure may prevent.
    part.catch(() => {});
    return part;
  };
  const hosts = link.read((db) =>
    db.selectFrom("scan_hosts").selectAll().where("scan_seq", "=", row.seq)
      .orderBy("address_key").execute()
  );
  hosts.catch(() => {});
  const ports = new Map<number, PortReport[]>();
  const coming: Promise<string | null>[] = [];
  let at = first;
  for (let taken = first; taken < end; taken += step) {
    for (; coming.length < AHEAD && at < end; at += step) coming.push(read(at));
    unpack(await coming.shift() ?? null, ports);
    await link.turn();
  }
  return (await hosts).map((host) =>
    hostOf(host, ports.get(host.id)?.sort(byNumber) ?? [])
  );
}

/** Rows of one step, fewer where they are long. */
function stepOf({ bytes, rows_used }: Selectable<ScanTable>): number {
  const fitting = Math.trunc(rows_used * STEP_BYTES / (bytes + 1));
  return Math.max(1, Math.min(STEP_ROWS, fitting));
}

function unpack(
  packed: string | null,
  ports: Map<number, PortReport[]>,
): void {
  if (packed === null) return;
  const items = JSON.parse(packed) as (number | PortReport)[];
  for (let at = 0; at + 1 < items.length; at += 2) {
    const [hostId, report] = [items[at] as number, items[at + 1] as PortReport];
    const list = ports.get(hostId);
    if (list === undefined) ports.set(hostId, [report]);
    else list.push(report);
  }
}

/**
 * Gives many ports as one text, each after the id of its host and as the JSON that it was: a driver
 * takes longer over thousands of rows than everything else together.
 */
async function packedPorts(
  link: Link,
  db: Read,
  from: number,
  to: number,
): Promise<string | null> {
  // What a port has besides begins with the brace that is opened here already.
  const rest = sql`coalesce(',' || substr(detail, 2), '}')`;
  const [joined, text] = link.kind === "sqlite"
    ? [
      sql.raw("group_concat"),
      sql`host_id || ',{"port":' || port || ',"protocol":'
        || json_quote(protocol) || ',"state":' || json_quote(state) || ${rest}`,
    ]
    : [
      sql.raw("string_agg"),
      sql`concat(host_id, ',{"port":', port, ',"protocol":',
        to_json(protocol), ',"state":', to_json(state), ${rest})`,
    ];
  const { rows } = await sql<{ packed: string | null }>`
    select '[' || ${joined}(${text}, ',') || ']' as packed from scan_ports
    where id >= ${from} and id < ${to}`.execute(db);
  return rows[0]?.packed ?? null;
}

function byNumber(a: PortReport, b: PortReport): number {
  return a.port - b.port || (a.protocol < b.protocol ? -1 : 1);
}

function listOf(head: ReportHead, items: readonly unknown[]): object {
  if (head.kind === "hosts") return { hosts: items };
  return head.kind === "paths" ? { paths: items } : { names: items };
}

async function collect<T>(
  next: (page: PageOptions) => Promise<Page<T>>,
  itemsMax: number,
  portsMax: number,
): Promise<{ items: T[]; cut: boolean }> {
  const items: T[] = [];
  let cursor: string | null = null;
  let ports = 0;
  do {
    const limit = Math.min(STEP, itemsMax - items.length);
    if (limit < 1) return { items, cut: true };
    const page: Page<T> = await next({ cursor, limit });
    for (const item of page.items) {
      ports += (item as Partial<HostReport>).ports?.length ?? 0;
      if (ports > portsMax && items.length > 0) return { items, cut: true };
      items.push(item);
    }
    cursor = page.next;
  } while (cursor !== null);
  return { items, cut: false };
}

type HostRow = Selectable<ScanHostTable>;

async function hostRows(
  db: Read,
  seq: number,
  filter: ReportFilter,
  after: string | undefined,
  limit: number,
): Promise<HostRow[]> {
  let query = db.selectFrom("scan_hosts").selectAll()
    .where("scan_seq", "=", seq).orderBy("address_key").limit(limit);
  if (after !== undefined) query = query.where("address_key", ">", after);
  if (filter.subnet !== undefined) {
    const { first, last } = subnetRange(filter.subnet);
    query = query.where("address_key", ">=", first)
      .where("address_key", "<=", last);
  }
  if (filter.hostStatus !== undefined) {
    query = query.where("status", "=", storable(filter.hostStatus, 65_536));
  }
  const { port, protocol, state, service } = filter;
  const wanted = [["protocol", protocol], ["state", state], [
    "service",
    service,
  ]] as const;
  if (port === undefined && wanted.every(([, text]) => text === undefined)) {
    return await query.execute();
  }
  return await query.where(({ exists, selectFrom }) => {
    let ports = selectFrom("scan_ports").select(sql`1`.as("one"))
      .whereRef("scan_ports.host_id", "=", "scan_hosts.id");
    if (port !== undefined) {
      ports = ports.where("port", "=", parseWhole(port, "port"));
    }
    for (const [name, text] of wanted) {
      if (text === undefined) continue;
      ports = ports.where(`scan_ports.${name}`, "=", storable(text, 65_536));
    }
    return exists(ports);
  }).execute();
}

/** Cuts hosts where their ports become too many for a page, but after the first. */
async function withinPorts(
  db: Read,
  rows: readonly HostRow[],
): Promise<readonly HostRow[]> {
  if (rows.length === 0) return rows;
  const counted = await db.selectFrom("scan_ports")
    .select(({ fn }) => ["host_id", fn.countAll<number>().as("count")])
    .where("host_id", "in", rows.map(({ id }) => id)).groupBy("host_id")
    .execute();
  const counts = new Map(counted.map(({ host_id, count }) => [host_id, count]));
  let sum = 0;
  const end = rows.findIndex(({ id }) => {
    sum += counts.get(id) ?? 0;
    return sum > PAGE_PORTS_MAX;
  });
  return end < 0 ? rows : rows.slice(0, Math.max(1, end));
}

async function portsOf(
  db: Read,
  hostIds: readonly number[],
): Promise<Map<number, PortReport[]>> {
  const ports = new Map<number, PortReport[]>();
  if (hostIds.length === 0) return ports;
  const rows = await db.selectFrom("scan_ports")
    .select(["host_id", "port", "protocol", "state", "detail"])
    .where("host_id", "in", hostIds)
    .orderBy("host_id").orderBy("port").orderBy("protocol").execute();
  for (const row of rows) {
    const list = ports.get(row.host_id);
    if (list === undefined) ports.set(row.host_id, [portOf(row)]);
    else list.push(portOf(row));
  }
  return ports;
}
